#pragma once
#include <stddef.h>
#include <stdint.h>

// Calls of malloc, calloc, realloc and their aligned kin since the start, by all threads of the process.
uint64_t baseline_allocations(void);

// A ready-made tree of C structs: what protobuf-c makes of an encoded ExportMetricsServiceRequest. NULL where it is none.
typedef struct baseline_tree baseline_tree;
baseline_tree *baseline_tree_unpack(const uint8_t *bytes, size_t count);
void baseline_tree_free(baseline_tree *tree);

// Packs the tree into room that is there already and large enough; nothing else is done.
size_t baseline_tree_pack(const baseline_tree *tree, uint8_t *room);

// Measures the tree, makes room for its bytes, packs it and frees the room: what a program has to do that sends it.
size_t baseline_tree_pack_anew(const baseline_tree *tree);

// gzip of level 1 with zlib; the size, 0 where it fails.
size_t baseline_gzip(const uint8_t *bytes, size_t count, uint8_t *room, size_t capacity);

// One handle of libcurl that posts the same bytes again and again on one connection.
typedef struct baseline_client baseline_client;
baseline_client *baseline_client_new(const char *url);
void baseline_client_free(baseline_client *client);
// The status of the answer; 0 where there is none.
long baseline_client_post(baseline_client *client, const uint8_t *bytes, size_t count);

// Answers every POST on 127.0.0.1 with 200 and no body, a process for each connection, until this one is ended.
// Tells its port through the descriptor, as text with a newline.
void baseline_receive(int port_descriptor);
