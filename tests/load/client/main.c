/* Load on one POP3 or LMTP server: many clients in one thread, and what they saw as one line of JSON.
 *
 *     load --port 110 --mode poll --clients 16 --seconds 5 --user user#@acme.example --users 64 --password secret
 *
 * Prints "begin" and "end" at the two ends of the measured time, so that whoever started it can look at the server's clocks
 * then, and at last the figures. In mode `idle` the measured time ends when standard input does. Exits with 1 if anything
 * was not as it should be; the first such things stand on standard error.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { READ_OCTETS = 1 << 18, EVENTS = 256, ERRORS_TOLD = 20, ERRORS_MOST = 1000 };
static const double LEAVE_SECONDS = 20.0;
static const char *const MODES[] = {"poll", "drain", "idle", "commands", "mix", "hello", "deliver"};
static const char *const KIND_NAMES[] = {"session", "pass", "first_octet", "retrieval", "command", "delivery"};

struct load load = {
    .options = {.host = "127.0.0.1", .clients = 1, .warmup = 0.5, .seconds = 5.0, .user = "user#", .users = 1, .password = "secret",
                .ask = "STAT", .batch = 100, .octets = 9000, .asked_at_once = 64},
};

static struct client *clients;
static int poller, open_clients;
static double measured_seconds, cpu_seconds;

uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static double own_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void count(enum kind kind, uint64_t since) {
    if (load.measuring)
        histogram_add(&load.tally.times[kind], now() - since);
}

void failed(struct client *c, const char *why, const char *said) {
    if (load.tally.errors++ < ERRORS_TOLD)
        fprintf(stderr, "client %d, user %d, session %ld: %s: %s\n", c->number, c->user, c->sessions, why, said);
    if (load.tally.errors >= ERRORS_MOST)
        load.stopping = true;
}

size_t user_name(char *room, size_t size, int number) {
    size_t used = 0;
    for (const char *at = load.options.user; *at && used + 12 < size; at++)
        used += (size_t)(*at == '#' ? snprintf(room + used, size - used, "%d", number) : snprintf(room + used, size - used, "%c", *at));
    return used;
}

size_t gather_line(struct client *c, const char *octets, size_t size, bool *whole) {
    const char *end = memchr(octets, '\n', size);
    size_t taken = end ? (size_t)(end + 1 - octets) : size;
    size_t fits = taken < LINE_MOST - 1 - c->line_octets ? taken : LINE_MOST - 1 - c->line_octets;
    memcpy(c->line + c->line_octets, octets, fits);
    c->line_octets += fits;
    if (end) {
        while (c->line_octets && (c->line[c->line_octets - 1] == '\n' || c->line[c->line_octets - 1] == '\r'))
            c->line_octets--;
        c->line[c->line_octets] = 0;
        c->line_octets = 0;
        *whole = true;
    }
    return taken;
}

static bool lmtp(void) {
    return load.options.mode == DELIVER;
}

/* Which user a client is next: the clients share the users out, so that no two are the same one at a time. */
static int next_user(const struct client *c) {
    const struct options *o = &load.options;
    long each = o->users / o->clients;
    return o->first + c->number + (int)(c->sessions % (each > 0 ? each : 1)) * o->clients;
}

static bool another_session(void) {
    return !load.stopping && (!load.options.limit || load.begun < load.options.limit);
}

static void watch(struct client *c, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (c->link.wants_out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, operation, c->link.fd, &event);
}

static void begin_session(struct client *c) {
    c->user = next_user(c);
    c->began = now();
    if (!lmtp())
        load.begun++;
    if (!link_open(&c->link, &load.options, lmtp() ? c->number : c->user)) {
        failed(c, "can't connect", strerror(errno));
        link_close(&c->link);
        load.stopping = true;
        return;
    }
    c->open = true;
    open_clients++;
    (lmtp() ? lmtp_opened : pop3_opened)(c);
    watch(c, EPOLL_CTL_ADD);
}

static void end_session(struct client *c) {
    link_close(&c->link);
    c->open = false;
    c->sessions++;
    open_clients--;
    if (another_session() && load.options.mode != IDLE)
        begin_session(c);
}

/* Reads all there is, a few times at most, so that nobody waits for one client; false at the end of the connection. */
static bool take_what_came(struct client *c, char *room) {
    for (int times = 0; times < 4; times++) {
        long got = link_read(&c->link, room, READ_OCTETS);
        if (got == LINK_LATER)
            return true;
        if (got == LINK_BROKEN)
            failed(c, "the connection broke", strerror(errno));
        if (got <= 0)
            return got == 0 && (lmtp() ? lmtp_closed : pop3_closed)(c);
        if (!(lmtp() ? lmtp_came : pop3_came)(c, room, (size_t)got))
            return false;
        if (!c->link.ssl && got < READ_OCTETS)
            return true;
    }
    return true;
}

static void serve(struct client *c, char *room) {
    bool wanted_out = c->link.wants_out;
    if (!link_flush(&c->link)) {
        failed(c, "the connection broke", strerror(errno));
        end_session(c);
        return;
    }
    if (!take_what_came(c, room) || !link_flush(&c->link)) {
        end_session(c);
        return;
    }
    if (c->link.wants_out != wanted_out)
        watch(c, EPOLL_CTL_MOD);
}

static void mark(const char *what) {
    printf("%s\n", what);
    fflush(stdout);
}

static void begin_measuring(void) {
    mark("begin");
    memset(load.tally.times, 0, sizeof load.tally.times);
    load.tally.octets = 0;
    load.measuring = true;
    measured_seconds = (double)now() / 1e6;
    cpu_seconds = own_cpu();
}

static void end_measuring(void) {
    measured_seconds = (double)now() / 1e6 - measured_seconds;
    cpu_seconds = own_cpu() - cpu_seconds;
    load.measuring = false;
    mark("end");
}

static bool input_ended(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char octet;
    return poll(&input, 1, 0) > 0 && read(0, &octet, 1) <= 0;
}

static void release_idle(void) {
    for (int n = 0; n < load.options.clients; n++)
        if (clients[n].open) {
            pop3_leave(&clients[n]);
            link_flush(&clients[n].link);
        }
}

/* In mode `idle` few log in at a time, the next ones as those have done so. */
static void let_more_in(void) {
    static int begun;
    while (begun < load.options.clients && begun - load.idle < load.options.asked_at_once)
        begin_session(&clients[begun++]);
}

/* Whether the measured time begins now, or ends. */
static bool is_time(uint64_t began) {
    const struct options *o = &load.options;
    double passed = (double)(now() - began) / 1e6;
    if (o->mode == IDLE)
        return load.measuring ? input_ended() : load.idle == o->clients;
    if (o->limit)
        return load.measuring ? !open_clients : true;
    return passed > o->warmup + (load.measuring ? o->seconds : 0.0);
}

static void run(void) {
    static char room[READ_OCTETS];
    struct epoll_event events[EVENTS];
    uint64_t began = now(), deadline = 0;
    bool over = false;
    if (load.options.limit)
        begin_measuring();
    for (int n = 0; load.options.mode != IDLE && n < load.options.clients && another_session(); n++)
        begin_session(&clients[n]);
    while (!over || (open_clients && now() < deadline)) {
        if (load.options.mode == IDLE && !load.stopping)
            let_more_in();
        int ready = epoll_wait(poller, events, EVENTS, 10);
        for (int n = 0; n < ready; n++)
            serve(events[n].data.ptr, room);
        if (over || !(is_time(began) || (load.stopping && !open_clients)))
            continue;
        if (!load.measuring && !load.stopping) {
            begin_measuring();
            continue;
        }
        end_measuring();
        over = load.stopping = true;
        deadline = now() + (uint64_t)(LEAVE_SECONDS * 1e6);
        release_idle();
    }
    if (open_clients && load.tally.errors++ == 0)
        fprintf(stderr, "%d clients got no answer in %.0f s\n", open_clients, LEAVE_SECONDS);
}

static void report(void) {
    printf("{\"mode\": \"%s\", \"clients\": %d, \"seconds\": %.6f, \"errors\": %lu, \"octets\": %lu, \"own_cpu\": %.6f", MODES[load.options.mode],
           load.options.clients, measured_seconds, (unsigned long)load.tally.errors, (unsigned long)load.tally.octets, cpu_seconds);
    for (int kind = 0; kind < KINDS; kind++) {
        const struct histogram *h = &load.tally.times[kind];
        printf(", \"%s\": {\"count\": %lu, \"mean\": %.4f, \"p50\": %.4f, \"p95\": %.4f, \"p99\": %.4f}", KIND_NAMES[kind], (unsigned long)h->count,
               h->count ? (double)h->total / (double)h->count / 1000.0 : 0.0, histogram_milliseconds(h, 0.5), histogram_milliseconds(h, 0.95),
               histogram_milliseconds(h, 0.99));
    }
    printf("}\n");
}

static enum mode mode_called(const char *name) {
    for (size_t mode = 0; mode < sizeof MODES / sizeof *MODES; mode++)
        if (!strcmp(name, MODES[mode]))
            return (enum mode)mode;
    fprintf(stderr, "no mode is called %s\n", name);
    exit(2);
}

static void read_options(int argc, char **argv) {
    static const struct option LONG[] = {
        {"host", 1, 0, 'h'},  {"port", 1, 0, 'p'},   {"mode", 1, 0, 'm'},  {"clients", 1, 0, 'c'},  {"warmup", 1, 0, 'w'}, {"seconds", 1, 0, 's'},
        {"user", 1, 0, 'u'},  {"first", 1, 0, 'f'},  {"users", 1, 0, 'n'}, {"password", 1, 0, 'k'}, {"ask", 1, 0, 'a'},    {"batch", 1, 0, 'b'},
        {"octets", 1, 0, 'o'}, {"limit", 1, 0, 'l'}, {"delete", 0, 0, 'd'}, {"proxy", 0, 0, 'x'},   {"tls", 0, 0, 't'},    {0, 0, 0, 0},
    };
    struct options *o = &load.options;
    for (int letter; (letter = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
        switch (letter) {
        case 'h': o->host = optarg; break;
        case 'p': o->port = atoi(optarg); break;
        case 'm': o->mode = mode_called(optarg); break;
        case 'c': o->clients = atoi(optarg); break;
        case 'w': o->warmup = atof(optarg); break;
        case 's': o->seconds = atof(optarg); break;
        case 'u': o->user = optarg; break;
        case 'f': o->first = atoi(optarg); break;
        case 'n': o->users = atoi(optarg); break;
        case 'k': o->password = optarg; break;
        case 'a': o->ask = optarg; break;
        case 'b': o->batch = atoi(optarg); break;
        case 'o': o->octets = atoi(optarg); break;
        case 'l': o->limit = atol(optarg); break;
        case 'd': o->delete = true; break;
        case 'x': o->proxy = true; break;
        case 't': o->tls = true; break;
        default: exit(2);
        }
    }
    if (o->batch > 2000 || o->clients < 1 || o->port < 1 || (!lmtp() && o->clients > o->users)) {
        fprintf(stderr, "--port and --clients must be 1 or more, --batch 2000 at most, --users as many as --clients\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    if (load.options.tls)
        tls_begin();
    if (lmtp())
        lmtp_prepare();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    clients = calloc((size_t)load.options.clients, sizeof *clients);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || poller < 0)
        return 2;
    for (int n = 0; n < load.options.clients; n++)
        clients[n] = (struct client){.number = n, .link.fd = -1};
    run();
    report();
    return load.tally.errors ? 1 : 0;
}
