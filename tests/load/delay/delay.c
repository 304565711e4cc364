/* A relay on loopback that holds back whatever clients send: as if the server were some milliseconds away.
 *
 *     delay PORT MILLISECONDS     relays to 127.0.0.1:PORT; prints the port on which it listens
 *
 * What a client sends waits for so long in the order it came; what the server answers goes on at once. A request and its
 * response together so take the time longer, whatever else is under way: nothing queues behind anything.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 18, MOST_HELD = 1 << 22 };

/* One end of a pair, and what is still to be written to it. */
struct end {
    int fd;
    bool client, gone;
    struct end *other;
    char *out;
    size_t begin, count, room;
    uint32_t watched; /* the events that are asked for */
    int held; /* chunks for this end that still wait; it isn't freed before they are through */
};

struct chunk {
    uint64_t due;
    struct end *to;
    char *octets; /* NULL: the client closed */
    size_t count;
    struct chunk *next;
};

static struct chunk *first, **last = &first;
static int poller;
static uint16_t server_port;
static uint64_t delay;
static char room[ROOM];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void watch(struct end *e, int operation) {
    struct epoll_event event = {.data.ptr = e};
    event.events = (e->count ? EPOLLOUT : 0) | (e->other->count < MOST_HELD ? EPOLLIN : 0);
    if (operation == EPOLL_CTL_MOD && event.events == e->watched)
        return;
    e->watched = event.events;
    epoll_ctl(poller, operation, e->fd, &event);
}

static void release(struct end *e) {
    if (e->gone && e->other->gone && !e->held && !e->other->held) {
        free(e->other->out);
        free(e->other);
        free(e->out);
        free(e);
    }
}

static void hang_up(struct end *e) {
    if (!e->gone) {
        e->gone = true;
        close(e->fd);
    }
}

static void flush(struct end *e) {
    while (e->count && !e->gone) {
        ssize_t sent = send(e->fd, e->out + e->begin, e->count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            hang_up(e);
            hang_up(e->other);
            return;
        }
        e->begin += (size_t)sent;
        e->count -= (size_t)sent;
    }
    if (!e->count)
        e->begin = 0;
    if (!e->gone)
        watch(e, EPOLL_CTL_MOD);
    if (!e->other->gone)
        watch(e->other, EPOLL_CTL_MOD);
}

static void pass(struct end *to, const char *octets, size_t count) {
    if (to->gone)
        return;
    if (to->begin + to->count + count > to->room) {
        memmove(to->out, to->out + to->begin, to->count);
        to->begin = 0;
        to->room = (to->count + count) * 2;
        to->out = realloc(to->out, to->room);
    }
    memcpy(to->out + to->begin + to->count, octets, count);
    to->count += count;
    flush(to);
}

static void hold(struct end *to, const char *octets, size_t count) {
    struct chunk *c = calloc(1, sizeof *c);
    *c = (struct chunk){.due = now() + delay, .to = to, .count = count};
    if (octets) {
        c->octets = malloc(count);
        memcpy(c->octets, octets, count);
    }
    to->held++;
    *last = c;
    last = &c->next;
}

static void let_through(void) {
    while (first && first->due <= now()) {
        struct chunk *c = first;
        first = c->next;
        if (!first)
            last = &first;
        c->to->held--;
        if (c->octets)
            pass(c->to, c->octets, c->count);
        else
            hang_up(c->to);
        struct end *to = c->to;
        free(c->octets);
        free(c);
        release(to);
    }
}

static void take(struct end *e) {
    ssize_t got = recv(e->fd, room, ROOM, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0) {
        if (e->client)
            hold(e->other, room, (size_t)got);
        else
            pass(e->other, room, (size_t)got);
        return;
    }
    hang_up(e);
    if (e->client)
        hold(e->other, NULL, 0);
    else
        hang_up(e->other);
    release(e);
}

static void let_in(int listener) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(server_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (client < 0 || connect(server, (struct sockaddr *)&there, sizeof there) < 0) {
        close(client);
        close(server);
        return;
    }
    struct end *c = calloc(1, sizeof *c), *s = calloc(1, sizeof *s);
    *c = (struct end){.fd = client, .client = true, .other = s};
    *s = (struct end){.fd = server, .other = c};
    fcntl(server, F_SETFL, O_NONBLOCK);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLL_CTL_ADD);
    watch(s, EPOLL_CTL_ADD);
}

static int listening(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 1024) < 0)
        exit(2);
    getsockname(listener, (struct sockaddr *)&here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    server_port = (uint16_t)atoi(argv[1]);
    delay = (uint64_t)atoi(argv[2]) * 1000u;
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listening();
    struct epoll_event any = {.events = EPOLLIN, .data.ptr = NULL}, events[1];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &any);
    for (;;) {
        int64_t left = first ? (int64_t)(first->due - now()) : 1000000;
        struct timespec wait = {.tv_sec = left > 0 ? left / 1000000 : 0, .tv_nsec = left > 0 ? left % 1000000 * 1000 : 0};
        int ready = epoll_pwait2(poller, events, 1, &wait, NULL);
        for (int n = 0; n < ready; n++) {
            struct end *e = events[n].data.ptr;
            if (!e)
                let_in(listener);
            else if (events[n].events & EPOLLOUT)
                flush(e);
            else
                take(e);
        }
        let_through();
    }
}
