/* A client's connection: a socket that never blocks, what is still to be sent, and TLS where it is wanted.
 *
 * The PROXY header (version 2) names an address of 198.18.0.0/15, the range for benchmarks (RFC 2544, RFC 6890), another one
 * for each user, and says that the client's way to the balancer was TLS.
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char PROXY_SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";
static const unsigned char OVER_TLS[] = {0x20, 0, 15, 0x01, 0, 0, 0, 1, 0x21, 0, 7, 'T', 'L', 'S', 'v', '1', '.', '3'};

#if WITH_TLS
static SSL_CTX *context;

void tls_begin(void) {
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* A mail program's first connection: nothing to resume. Whose certificate it is isn't what is measured. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static long tls_outcome(struct link *l, int result) {
    switch (SSL_get_error(l->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return LINK_LATER;
    case SSL_ERROR_WANT_WRITE:
        l->wants_out = true;
        return LINK_LATER;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return LINK_BROKEN;
    }
}
#else
void tls_begin(void) {
    fprintf(stderr, "built without TLS: install OpenSSL's headers (Debian: libssl-dev) and build again\n");
    exit(2);
}
#endif

static void queue_proxy_header(struct link *l, const struct options *o, int source) {
    unsigned char header[16 + 12 + sizeof OVER_TLS];
    memcpy(header, PROXY_SIGNATURE, 12);
    header[12] = 0x21; /* version 2, PROXY */
    header[13] = 0x11; /* TCP over IPv4 */
    uint16_t rest = htons(12 + sizeof OVER_TLS), from = htons((uint16_t)(1024 + source % 60000)), to = htons((uint16_t)o->port);
    uint32_t address = htonl(0xC6120000u + (uint32_t)source % 131072u), own = htonl(0x7F000001u);
    memcpy(header + 14, &rest, 2);
    memcpy(header + 16, &address, 4);
    memcpy(header + 20, &own, 4);
    memcpy(header + 24, &from, 2);
    memcpy(header + 26, &to, 2);
    memcpy(header + 28, OVER_TLS, sizeof OVER_TLS);
    link_queue(l, (char *)header, sizeof header);
}

bool link_open(struct link *l, const struct options *o, int source) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    if (inet_pton(AF_INET, o->host, &there.sin_addr) != 1) {
        fprintf(stderr, "%s is no IPv4 address\n", o->host);
        exit(2);
    }
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    l->out_begin = l->out_end = 0;
    int one = 1;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (l->fd < 0 || (connect(l->fd, (struct sockaddr *)&there, sizeof there) < 0 && errno != EINPROGRESS))
        return false;
    l->wants_out = true;
    if (o->proxy)
        queue_proxy_header(l, o, source);
#if WITH_TLS
    if (o->tls) {
        l->ssl = SSL_new(context);
        SSL_set_fd(l->ssl, l->fd);
        SSL_set_connect_state(l->ssl);
    }
#endif
    return true;
}

void link_close(struct link *l) {
#if WITH_TLS
    if (l->ssl)
        SSL_free(l->ssl);
#endif
    l->ssl = NULL;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

void link_queue(struct link *l, const char *octets, size_t count) {
    if (l->out_end + count > l->out_room) {
        l->out_room = (l->out_end + count) * 2;
        l->out = realloc(l->out, l->out_room);
        if (!l->out)
            abort();
    }
    memcpy(l->out + l->out_end, octets, count);
    l->out_end += count;
}

static long written(struct link *l, const char *octets, size_t count) {
    long sent = send(l->fd, octets, count, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == ENOTCONN ? LINK_LATER : LINK_BROKEN;
}

#if WITH_TLS
/* The PROXY header alone goes out before the handshake: it is all that is queued when that begins. */
static long sent_by_tls(struct link *l, const char *octets, size_t count) {
    bool header = SSL_get_state(l->ssl) == TLS_ST_BEFORE && count >= 12 && !memcmp(octets, PROXY_SIGNATURE, 12);
    if (header)
        return written(l, octets, count);
    int sent = SSL_write(l->ssl, octets, (int)count);
    return sent > 0 ? sent : tls_outcome(l, sent);
}
#endif

/* Sends what it can; false when the connection is broken. */
bool link_flush(struct link *l) {
    l->wants_out = false;
    while (l->out_begin < l->out_end) {
        const char *octets = l->out + l->out_begin;
        size_t count = l->out_end - l->out_begin;
#if WITH_TLS
        long sent = l->ssl ? sent_by_tls(l, octets, count) : written(l, octets, count);
#else
        long sent = written(l, octets, count);
#endif
        if (sent == LINK_BROKEN)
            return false;
        if (sent < 0) {
            l->wants_out = !l->ssl || l->wants_out;
            return true;
        }
        l->out_begin += (size_t)sent;
    }
    l->out_begin = l->out_end = 0;
    return true;
}

/* The octets read, 0 when the server closed, LINK_LATER or LINK_BROKEN. */
long link_read(struct link *l, char *room, size_t count) {
#if WITH_TLS
    if (l->ssl) {
        int got = SSL_read(l->ssl, room, (int)count);
        return got > 0 ? got : tls_outcome(l, got);
    }
#endif
    long got = recv(l->fd, room, count, 0);
    if (got >= 0)
        return got;
    return errno == EAGAIN || errno == ENOTCONN ? LINK_LATER : LINK_BROKEN;
}
