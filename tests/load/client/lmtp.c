/* LMTP (RFC 2033) as a mail server speaks it: one connection, one recipient a transaction, the envelope in one write.
 *
 * Each message has a Message-ID of its own. A delivery counts when its last reply, the recipient's own, has come.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { GREETING, LHLO, MAIL, RCPT, DATA, TEXT, QUIT, GONE };

static const char HEADER[] =
    "From: Ada <ada@example.org>\r\nTo: Ben <ben@example.org>\r\nSubject: load\r\nMessage-ID: <%08d.%012lu@example.org>\r\n\r\n";
enum { ROOM_FOR_HEADER = 200 };
static char *text; /* the body, and its end */
static size_t text_octets;

void lmtp_prepare(void) {
    static const char LINE[] = "The quick brown fox jumps over the lazy dog, and the dog sleeps on and on.\r\n";
    size_t line = sizeof LINE - 1, lines = (size_t)load.options.octets / line;
    text = malloc(lines * line + 4);
    if (!text)
        abort();
    for (size_t n = 0; n < lines; n++)
        memcpy(text + n * line, LINE, line);
    memcpy(text + lines * line, ".\r\n", 3);
    text_octets = lines * line + 3;
}

static void begin_delivery(struct client *c) {
    bool enough = load.options.limit && load.begun >= load.options.limit;
    if (load.stopping || enough) {
        link_queue(&c->link, "QUIT\r\n", 6);
        c->state = QUIT;
        return;
    }
    load.begun++;
    char name[260], envelope[400];
    user_name(name, sizeof name, load.options.first + (int)((c->deliveries++ * (uint64_t)load.options.clients + (uint64_t)c->number) % (uint64_t)load.options.users));
    int size = snprintf(envelope, sizeof envelope, "MAIL FROM:<ada@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n", name);
    link_queue(&c->link, envelope, (size_t)size);
    c->asked = now();
    c->state = MAIL;
}

static void send_text(struct client *c) {
    char header[ROOM_FOR_HEADER];
    int size = snprintf(header, sizeof header, HEADER, (int)getpid(), (unsigned long)(c->deliveries * 100000 + (uint64_t)c->number));
    link_queue(&c->link, header, (size_t)size);
    link_queue(&c->link, text, text_octets);
    c->state = TEXT;
}

void lmtp_opened(struct client *c) {
    c->state = GREETING;
    c->line_octets = 0;
}

static bool reply_came(struct client *c) {
    const char *wanted = c->state == GREETING ? "220" : c->state == DATA ? "354" : c->state == QUIT ? "221" : "250";
    if (strncmp(c->line, wanted, 3) != 0) {
        failed(c, "refused", c->line);
        return false;
    }
    if (c->line[3] == '-')
        return true;
    switch (c->state) {
    case GREETING:
        link_queue(&c->link, "LHLO load.example.org\r\n", 23);
        c->state = LHLO;
        break;
    case LHLO:
        begin_delivery(c);
        break;
    case DATA:
        send_text(c);
        break;
    case TEXT:
        count(DELIVERY, c->asked);
        if (load.measuring)
            load.tally.octets += text_octets;
        begin_delivery(c);
        break;
    default:
        c->state++;
    }
    return true;
}

bool lmtp_came(struct client *c, const char *octets, size_t size) {
    while (size) {
        bool whole = false;
        size_t taken = gather_line(c, octets, size, &whole);
        octets += taken;
        size -= taken;
        if (whole && !reply_came(c))
            return false;
    }
    return true;
}

bool lmtp_closed(struct client *c) {
    if (c->state != GONE && c->state != QUIT)
        failed(c, "closed in the middle", c->line);
    return false;
}
