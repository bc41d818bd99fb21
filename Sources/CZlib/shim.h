#pragma once
#include <zlib.h>

// deflateInit2 is a macro. 16 added to the window bits asks for the gzip format.
static inline int czlib_gzip_init(z_stream *stream, int level) {
  return deflateInit2(stream, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
}

static inline int czlib_gunzip_init(z_stream *stream) {
  return inflateInit2(stream, MAX_WBITS + 16);
}
