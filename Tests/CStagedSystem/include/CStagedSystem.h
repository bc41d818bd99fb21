#pragma once
// What a test cannot change on the machine that it runs on. The program's own definitions of getaddrinfo, stat and fopen
// come before those of the C library, for libcurl and OpenSSL as well; what is not staged goes on to the C library.

// From now on this host name has no address for so many look-ups, and then that of the loopback interface; NULL stages
// nothing any more.
void staged_host(const char *name, int failures);

// Look-ups of the staged host name since it was staged.
int staged_lookups(void);

// From now on files of this directory are found among the system's certificates too, in /etc/ssl/certs; NULL stages
// nothing any more.
void staged_certificates(const char *directory);
