/* POP3 as a mail program speaks it: each command waits for its response, but for the batches of mode `commands`.
 *
 * Strict (RFC 1939): every response must begin with "+OK"; STAT, LIST and RETR must agree on messages and octets; every line
 * ends with CRLF and is byte-stuffed as §3 says; the server closes after QUIT.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state { GREETING, USER, PASSWORD, STAT, LIST_STATUS, LIST_LINES, MULTI_LINE, OTHER_LINES, RETR, RETR_TEXT, DELE, RESTING, BATCH, QUIT, GONE };

/* Where in a multi-line response the next octet stands. */
enum body { LINE_START, WITHIN, DOT, DOT_CR };

static void say(struct client *c, const char *text, size_t count) {
    c->asked = now();
    link_queue(&c->link, text, count);
}

static void ask(struct client *c, const char *command, int state) {
    char line[300];
    int count = snprintf(line, sizeof line, "%s\r\n", command);
    c->state = state;
    say(c, line, (size_t)count);
}

static void ask_of(struct client *c, const char *command, int message, int state) {
    char line[40];
    snprintf(line, sizeof line, "%s %d", command, message);
    ask(c, line, state);
}

void pop3_opened(struct client *c) {
    const struct options *o = &load.options;
    c->state = GREETING;
    c->line_octets = 0;
    c->drains = o->mode == DRAIN || (o->mode == MIX && c->sessions % 20 == 0);
    c->ask = o->mode == POLL || o->mode == MIX ? o->ask : c->drains || o->mode == COMMANDS ? "STAT" : "";
    c->message = c->messages = 0;
    c->body_octets = 0;
}

static void begin_body(struct client *c, int state) {
    c->state = state;
    c->body = LINE_START;
    c->body_octets = 0;
    c->listed_octets = 0;
    c->message = 0;
}

static void send_batch(struct client *c) {
    char batch[64 * 1024];
    size_t used = 0;
    int messages = c->messages ? c->messages : 1;
    for (int n = 0; n < load.options.batch; n++) {
        static const char *const FORMS[] = {"NOOP\r\n", "STAT\r\n", "LIST %d\r\n", "UIDL %d\r\n"};
        used += (size_t)snprintf(batch + used, sizeof batch - used, FORMS[c->messages ? n % 4 : n % 2], 1 + n % messages);
    }
    c->batch_left = load.options.batch;
    c->state = BATCH;
    say(c, batch, used);
}

static void retrieve_next(struct client *c) {
    if (++c->message > c->messages || load.stopping) {
        ask(c, "QUIT", QUIT);
        return;
    }
    c->first_octet = false;
    ask_of(c, "RETR", c->message, RETR);
}

/* What comes after login and after each thing asked. */
static void next(struct client *c) {
    if (*c->ask) {
        char command[40];
        size_t count = strcspn(c->ask, ",");
        snprintf(command, sizeof command, "%.*s", (int)count, c->ask);
        c->ask += count + (c->ask[count] == ',');
        ask(c, command, !strcmp(command, "STAT") ? STAT : !strcmp(command, "LIST") ? LIST_STATUS : MULTI_LINE);
    } else if (load.options.mode == IDLE && !load.stopping) {
        c->state = RESTING;
        load.idle++;
    } else if (load.options.mode == COMMANDS && !load.stopping) {
        send_batch(c);
    } else if (c->drains && c->messages && !c->message) {
        ask(c, "LIST", LIST_STATUS);
    } else {
        ask(c, "QUIT", QUIT);
    }
}

void pop3_leave(struct client *c) {
    if (c->state == RESTING)
        ask(c, "QUIT", QUIT);
}

static bool stat_came(struct client *c) {
    unsigned long octets;
    if (sscanf(c->line, "+OK %d %lu", &c->messages, &octets) != 2) {
        failed(c, "no drop listing", c->line);
        return false;
    }
    c->announced_octets = octets;
    if (c->drains && c->messages)
        c->octets = realloc(c->octets, sizeof *c->octets * (size_t)c->messages);
    next(c);
    return true;
}


static void log_in(struct client *c) {
    char line[300] = "USER ";
    user_name(line + 5, sizeof line - 5, c->user);
    ask(c, line, USER);
}

static void give_password(struct client *c) {
    char line[300];
    snprintf(line, sizeof line, "PASS %s", load.options.password);
    ask(c, line, PASSWORD);
}

static bool batch_line_came(struct client *c) {
    count(COMMAND, c->asked);
    if (--c->batch_left == 0) {
        if (load.stopping)
            ask(c, "QUIT", QUIT);
        else
            send_batch(c);
    }
    return true;
}

static bool status_came(struct client *c) {
    if (strncmp(c->line, "+OK", 3) != 0) {
        failed(c, "refused", c->line);
        return false;
    }
    switch (c->state) {
    case GREETING:
        if (load.options.mode == HELLO)
            ask(c, "QUIT", QUIT);
        else
            log_in(c);
        return true;
    case USER:
        give_password(c);
        return true;
    case PASSWORD:
        count(PASS, c->asked);
        next(c);
        return true;
    case STAT:
        return stat_came(c);
    case LIST_STATUS:
        begin_body(c, LIST_LINES);
        return true;
    case MULTI_LINE:
        begin_body(c, OTHER_LINES);
        return true;
    case RETR:
        c->state = RETR_TEXT;
        c->body = LINE_START;
        c->body_octets = 0;
        return true;
    case DELE:
        retrieve_next(c);
        return true;
    case BATCH:
        return batch_line_came(c);
    case QUIT:
        count(SESSION, c->began);
        c->state = GONE;
        return true;
    default:
        failed(c, "said unasked", c->line);
        return false;
    }
}

static bool listed(struct client *c) {
    int number;
    unsigned long octets;
    if (sscanf(c->line, "%d %lu", &number, &octets) != 2 || number != ++c->message || (c->messages && number > c->messages)) {
        failed(c, "no scan listing", c->line);
        return false;
    }
    c->listed_octets += octets;
    if (c->drains)
        c->octets[number - 1] = (uint32_t)octets;
    return true;
}

static bool list_line_came(struct client *c) {
    if (strcmp(c->line, ".") != 0)
        return listed(c);
    if (c->messages && (c->message != c->messages || c->listed_octets != c->announced_octets)) {
        failed(c, "LIST and STAT don't agree", c->line);
        return false;
    }
    if (c->drains) {
        c->message = 0;
        retrieve_next(c);
    } else
        next(c);
    return true;
}

static bool text_ended(struct client *c) {
    if (c->state == OTHER_LINES) {
        next(c);
        return true;
    }
    if (c->body_octets != c->octets[c->message - 1]) {
        char said[80];
        snprintf(said, sizeof said, "message %d: %lu octets, LIST said %u", c->message, (unsigned long)c->body_octets, c->octets[c->message - 1]);
        failed(c, "wrong count of octets", said);
        return false;
    }
    count(RETRIEVAL, c->asked);
    if (load.measuring)
        load.tally.octets += c->body_octets;
    if (load.options.delete)
        ask_of(c, "DELE", c->message, DELE);
    else
        retrieve_next(c);
    return true;
}

/* Takes octets of a multi-line response and counts them unstuffed; the octets taken. `*ended` behind its last one. */
static size_t take_text(struct client *c, const char *octets, size_t count, bool *ended, bool *wrong) {
    const char *at = octets, *end = octets + count;
    while (at < end) {
        if (c->body == WITHIN) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            const char *upto = line_end ? line_end + 1 : end;
            if (line_end && (line_end > at ? line_end[-1] : c->last) != '\r')
                *wrong = true;
            c->body_octets += (uint64_t)(upto - at);
            c->last = upto[-1];
            c->body = line_end ? LINE_START : WITHIN;
            at = upto;
        } else if (c->body == LINE_START) {
            c->last = 0;
            c->body = *at == '.' ? DOT : WITHIN;
            at += *at == '.';
        } else if (c->body == DOT) {
            if (*at != '.' && *at != '\r')
                *wrong = true;
            c->body = *at == '\r' ? DOT_CR : WITHIN;
            at += *at == '\r';
        } else {
            if (*at != '\n')
                *wrong = true;
            *ended = true;
            return (size_t)(at + 1 - octets);
        }
    }
    return count;
}

static bool text_came(struct client *c, const char **octets, size_t *size) {
    bool ended = false, wrong = false;
    size_t taken = take_text(c, *octets, *size, &ended, &wrong);
    *octets += taken;
    *size -= taken;
    if (wrong) {
        failed(c, "a line without CRLF or without its byte-stuffing", "");
        return false;
    }
    return !ended || text_ended(c);
}

bool pop3_came(struct client *c, const char *octets, size_t size) {
    if (c->state == RETR && !c->first_octet) {
        c->first_octet = true;
        if (c->message > 1)
            count(FIRST_OCTET, c->asked);
    }
    while (size) {
        if (c->state == RETR_TEXT || c->state == OTHER_LINES) {
            if (!text_came(c, &octets, &size))
                return false;
            continue;
        }
        bool whole = false;
        size_t taken = gather_line(c, octets, size, &whole);
        octets += taken;
        size -= taken;
        if (whole && !(c->state == LIST_LINES ? list_line_came(c) : status_came(c)))
            return false;
    }
    return true;
}

bool pop3_closed(struct client *c) {
    if (c->state != GONE)
        failed(c, "closed in the middle", c->line);
    return false;
}
