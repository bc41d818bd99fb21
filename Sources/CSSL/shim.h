#pragma once
#include <openssl/ssl.h>
#include <string.h>

static inline int cssl_index(void) {
  static int index = -1;
  // A macro that Swift does not import.
  if (index < 0) index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  return index;
}

// What is offered, and whether the server chose it.
struct cssl_offer {
  unsigned char list[16];
  unsigned int length;
  int is_answered;
  int is_chosen;
};

static inline void cssl_note(const SSL *session, int where, int result) {
  (void)result;
  if (!(where & SSL_CB_HANDSHAKE_DONE)) return;
  struct cssl_offer *offer = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), cssl_index());
  const unsigned char *name = NULL;
  unsigned int length = 0;
  SSL_get0_alpn_selected(session, &name, &length);
  offer->is_answered = 1;
  offer->is_chosen = length + 1 == offer->length && memcmp(name, offer->list + 1, length) == 0;
}

// Offers a protocol in every handshake of the context (ALPN, RFC 7301). The offer has to outlive the context.
static inline int cssl_make_offer(SSL_CTX *context, struct cssl_offer *offer) {
  SSL_CTX_set_info_callback(context, cssl_note);
  // 0 is success in the second call, unlike in the rest of OpenSSL.
  return SSL_CTX_set_ex_data(context, cssl_index(), offer) == 1 &&
         SSL_CTX_set_alpn_protos(context, offer->list, offer->length) == 0;
}
