/* The floor: what the three figures cost where nothing is done that they do not need. One connection, one message of
   three statements a cycle, and the answers pushed as OTLP in JSON over one kept connection.

     floor CONNINFO URL MILLISECONDS */
#include <curl/curl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char query[] =
    "select status, count(*) from outbox_events where status in ('pending','processing','failed') group by status;"
    "select 'age', coalesce(extract(epoch from now()-min(created_at)),0)::float8 from outbox_events where status='pending';"
    "select 'stuck', count(*) from outbox_events where status='processing' and updated_at < now() - interval '5 minutes'";

int main(int count, char **arguments) {
  if (count != 4) return 64;
  long interval = atol(arguments[3]) * 1000000;
  PGconn *connection = PQconnectdb(arguments[1]);
  if (PQstatus(connection) != CONNECTION_OK) return 1;
  CURL *curl = curl_easy_init();
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  curl_easy_setopt(curl, CURLOPT_URL, arguments[2]);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;; next.tv_nsec += interval) {
    for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) next.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char body[4096];
    int length = snprintf(
        body, sizeof body,
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"floor\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"outbox\",\"gauge\":{\"dataPoints\":[");
    const char *separator = "";
    if (!PQsendQuery(connection, query)) return 2;
    for (PGresult *result; (result = PQgetResult(connection)); PQclear(result)) {
      if (PQresultStatus(result) != PGRES_TUPLES_OK) return 3;
      for (int row = 0; row < PQntuples(result); row++) {
        length += snprintf(
            body + length, sizeof body - length,
            "%s{\"timeUnixNano\":\"%lld%09ld\",\"asDouble\":%s,\"attributes\":[{\"key\":\"figure\",\"value\":{"
            "\"stringValue\":\"%s\"}}]}",
            separator, (long long)now.tv_sec, now.tv_nsec, PQgetvalue(result, row, 1), PQgetvalue(result, row, 0));
        separator = ",";
      }
    }
    length += snprintf(body + length, sizeof body - length, "]}}]}]}]}");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)length);
    if (curl_easy_perform(curl) != CURLE_OK) return 4;
  }
}
