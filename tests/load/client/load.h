/* What the parts of the load client share: its options, its clients, what it counts.
 *
 * One thread and one epoll serve all clients. A client is a socket and a little state; a protocol (pop3.c, lmtp.c) is told
 * what came and queues what goes out. Nothing here waits, and nothing is forgiven: whatever a server says that isn't what
 * was asked for is printed and counted as an error.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __has_include(<openssl/ssl.h>) && !defined(WITHOUT_TLS)
#define WITH_TLS 1
#include <openssl/ssl.h>
#else
#define WITH_TLS 0
typedef void SSL;
#endif

enum mode { POLL, DRAIN, IDLE, COMMANDS, MIX, HELLO, DELIVER };

struct options {
    const char *host;
    int port;
    enum mode mode;
    int clients;
    double warmup, seconds;
    const char *user; /* every '#' in it is replaced by the user's number */
    int first, users; /* the numbers: first .. first + users - 1 */
    const char *password;
    const char *ask;  /* what a poll asks: STAT, LIST, UIDL, CAPA, with commas between */
    int batch;        /* commands sent at once, in mode `commands` */
    int octets;       /* of a delivered message */
    long limit;       /* sessions or deliveries after which all ends; 0: when the time is over */
    int asked_at_once;    /* logins under way at once, in mode `idle` */
    bool delete, proxy, tls;
};

/* Times of one kind, in classes less than 2 % wide. */
enum { CLASSES = 64 * 40 };
struct histogram {
    uint64_t count, total;
    uint32_t classes[CLASSES];
};
void histogram_add(struct histogram *, uint64_t microseconds);
double histogram_milliseconds(const struct histogram *, double part);

enum kind { SESSION, PASS, FIRST_OCTET, RETRIEVAL, COMMAND, DELIVERY, KINDS };

/* What came of it all; counted between the two ends of the measured time alone. */
struct tally {
    struct histogram times[KINDS];
    uint64_t octets;
    uint64_t errors; /* these always */
};

struct link {
    int fd;
    SSL *ssl;
    bool wants_out;
    char *out;
    size_t out_begin, out_end, out_room;
};
bool link_open(struct link *, const struct options *, int source);
void link_close(struct link *);
void link_queue(struct link *, const char *octets, size_t count);
bool link_flush(struct link *);
enum { LINK_LATER = -1, LINK_BROKEN = -2 };
long link_read(struct link *, char *room, size_t count);
void tls_begin(void);

enum { LINE_MOST = 1024 };

struct client {
    int number;
    long sessions;
    int user;
    struct link link;
    int state;
    bool open;
    uint64_t began, asked; /* microseconds */
    char line[LINE_MOST];
    size_t line_octets;
    /* POP3 */
    const char *ask; /* what is still to be asked in this session */
    bool drains, first_octet;
    int body;
    char last;
    uint64_t body_octets, announced_octets, listed_octets;
    int message, messages, batch_left;
    uint32_t *octets; /* as LIST told them */
    /* LMTP */
    uint64_t deliveries;
};

struct load {
    struct options options;
    struct tally tally;
    bool measuring, stopping;
    long begun;  /* sessions or deliveries begun, against options.limit */
    int idle;    /* sessions that are logged in and wait */
};
extern struct load load;

uint64_t now(void);
void count(enum kind, uint64_t since);
void failed(struct client *, const char *why, const char *said);
size_t user_name(char *room, size_t count, int number);

/* A protocol: a connection was opened; octets came; the server closed. `false` ends the client's connection. */
void pop3_opened(struct client *);
bool pop3_came(struct client *, const char *octets, size_t count);
bool pop3_closed(struct client *);
void pop3_leave(struct client *);
void lmtp_opened(struct client *);
bool lmtp_came(struct client *, const char *octets, size_t count);
bool lmtp_closed(struct client *);
void lmtp_prepare(void);

/* Gathers octets into c->line; the octets taken. `*whole` when the line has come, without its CRLF. */
size_t gather_line(struct client *, const char *octets, size_t count, bool *whole);

#endif
