#define _GNU_SOURCE
#include "CBaseline.h"
#include <COpenTelemetryProto.h>
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest Request;

struct baseline_tree {
  Request *request;
};

baseline_tree *baseline_tree_unpack(const uint8_t *bytes, size_t count) {
  Request *request =
      opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__unpack(NULL, count, bytes);
  if (request == NULL) return NULL;
  baseline_tree *tree = malloc(sizeof *tree);
  tree->request = request;
  return tree;
}

void baseline_tree_free(baseline_tree *tree) {
  opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__free_unpacked(tree->request, NULL);
  free(tree);
}

size_t baseline_tree_pack(const baseline_tree *tree, uint8_t *room) {
  return protobuf_c_message_pack(&tree->request->base, room);
}

size_t baseline_tree_pack_anew(const baseline_tree *tree) {
  uint8_t *room = malloc(protobuf_c_message_get_packed_size(&tree->request->base));
  size_t size = protobuf_c_message_pack(&tree->request->base, room);
  free(room);
  return size;
}

size_t baseline_gzip(const uint8_t *bytes, size_t count, uint8_t *room, size_t capacity) {
  z_stream stream = {0};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
  stream.next_in = (Bytef *)bytes;
  stream.avail_in = (uInt)count;
  stream.next_out = room;
  stream.avail_out = (uInt)capacity;
  int status = deflate(&stream, Z_FINISH);
  size_t size = stream.total_out;
  deflateEnd(&stream);
  return status == Z_STREAM_END ? size : 0;
}

struct baseline_client {
  CURL *handle;
  struct curl_slist *headers;
};

static size_t swallow(char *data, size_t size, size_t count, void *context) { return size * count; }

baseline_client *baseline_client_new(const char *url) {
  baseline_client *client = malloc(sizeof *client);
  client->handle = curl_easy_init();
  client->headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
  client->headers = curl_slist_append(client->headers, "Expect:");
  curl_easy_setopt(client->handle, CURLOPT_URL, url);
  curl_easy_setopt(client->handle, CURLOPT_POST, 1L);
  curl_easy_setopt(client->handle, CURLOPT_HTTPHEADER, client->headers);
  curl_easy_setopt(client->handle, CURLOPT_WRITEFUNCTION, swallow);
  return client;
}

void baseline_client_free(baseline_client *client) {
  curl_easy_cleanup(client->handle);
  curl_slist_free_all(client->headers);
  free(client);
}

long baseline_client_post(baseline_client *client, const uint8_t *bytes, size_t count) {
  long status = 0;
  curl_easy_setopt(client->handle, CURLOPT_POSTFIELDS, bytes);
  curl_easy_setopt(client->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
  if (curl_easy_perform(client->handle) != CURLE_OK) return 0;
  curl_easy_getinfo(client->handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

// Reads one request; 0 where the connection has ended.
static int take_request(int connection, char *room, size_t capacity) {
  static const char length_name[] = "content-length:";
  size_t have = 0;
  char *end = NULL;
  while (end == NULL) {
    if (have == capacity - 1) return 0;
    ssize_t got = read(connection, room + have, capacity - 1 - have);
    if (got <= 0) return 0;
    have += (size_t)got;
    room[have] = 0;
    end = memmem(room, have, "\r\n\r\n", 4);
  }
  size_t body = 0;
  for (char *line = room; line < end; line = memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2)
    if (strncasecmp(line, length_name, sizeof length_name - 1) == 0)
      body = strtoul(line + sizeof length_name - 1, NULL, 10);
  size_t rest = body - (have - (size_t)(end + 4 - room));
  while (rest > 0) {
    ssize_t got = read(connection, room, rest < capacity ? rest : capacity);
    if (got <= 0) return 0;
    rest -= (size_t)got;
  }
  return 1;
}

void baseline_receive(int port_descriptor) {
  static char room[1 << 16];
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0) return;
  getsockname(listener, (struct sockaddr *)&address, &size);
  signal(SIGCHLD, SIG_IGN);
  dprintf(port_descriptor, "%d\n", ntohs(address.sin_port));
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) return;
    if (fork() == 0) {
      int on = 1;
      setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      while (take_request(connection, room, sizeof room))
        if (write(connection, answer, sizeof answer - 1) < 0) break;
      _exit(0);
    }
    close(connection);
  }
}
