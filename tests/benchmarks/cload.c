/* CoAP load generator: many simulated LwM2M clients in one thread. Built and run by serverload.py.
 *
 *     cc -O2 -o cload cload.c
 *     cc -O2 -DDTLS -o cload-dtls cload.c -lssl -lcrypto
 *     ./cload -p 5683 -m update -k 1000 -n 64 -s 5 -w 1 -P $(pidof server)
 *
 *   -h HOST -p PORT   IPv4 address and port of the server (127.0.0.1, 5683)
 *   -m MODE           register: POST /rd again and again, each client under its own name
 *                     update: POST /rd/{id} without anything to change
 *                     notify: Confirmable notifications, on the last relation the server began
 *                     mixed: update and notify in turn
 *                     answer: asks nothing, answers the server until killed (or -s is over)
 *                     handshake (with DTLS): a full one again and again, in place of the session before
 *   -k CLIENTS        simulated clients (1000), each with one request under way at most
 *   -n IN_FLIGHT      requests under way of all clients together (64): a closed loop
 *   -r RATE           no more than so many requests a second
 *   -u CLIENTS        so many of them, the last, never answer a request
 *   -s SECONDS        measured time (5), after
 *   -w SECONDS        of the same load that is not measured (1)
 *   -l LINKS          the Object list of each Register
 *   -P PID            a process of the server, for its CPU time; may be given several times
 *
 * With DTLS, client i has the PSK identity load-i and KEY; all sessions are established first.
 *
 * All clients share one UDP socket. Client i sends from 127.1.0.0 + 1 + i, an address that IP_PKTINFO
 * sets on each datagram and reads from each answer, so that the server meets as many peers as there
 * are clients. Datagrams are sent and received in batches to leave the generator cheaper than any
 * server. A request unanswered for a second is repeated.
 *
 * All but register make every client known first and then print the line "registered"; notify and mixed
 * wait for the server to observe each. A GET of the server is answered whenever it comes: one that asks
 * to observe with SenML CBOR of 5 values, of Object 3 below that, else of 3303, two of which are others
 * each time; any other in TLV, with an Object 3 or 6 below these, else with a Float. With -u the line
 * "unanswered" follows when every client that is silent has been asked.
 *
 * The last line on standard output is a JSON object with what was measured. Linux only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef DTLS
#include <openssl/ssl.h>
#define KEY "sixteen letters!"
#endif

enum { BATCH = 64, DATAGRAM = 1600, MAX_TOKEN = 8, MAX_LOCATION = 32, MAX_PIDS = 16, SAMPLES = 1 << 22 };
enum { CON, NON, ACK, RST };
enum { EMPTY = 0, GET = 1, POST = 2, CREATED = 65, CONTENT = 69, FIRST_ERROR = 128 };
enum { OBSERVE = 6, LOCATION_PATH = 8, URI_PATH = 11, CONTENT_FORMAT = 12, URI_QUERY = 15 };
enum { LINK_FORMAT = 40, SENML_CBOR = 112, TLV = 11542 };
enum { FIRST_ADDRESS = 0x7f010001 }; /* 127.1.0.1 */

typedef enum { REGISTER, UPDATE, NOTIFY, MIXED, ANSWER, SHAKE } Mode;

static const uint64_t SECOND = 1000000000ull;
static const uint64_t REPEAT_AFTER = 1000000000ull;
static const uint64_t OBSERVE_WITHIN = 600 * 1000000000ull;
static const double REGISTER_WITHIN = 600;

typedef struct {
    uint16_t mid;
    bool waiting;     /* for the answer to message mid */
    bool asked_in_vain;
    Mode saying;      /* what message mid is */
    uint64_t asked;   /* when it was first sent */
    uint64_t sent;    /* when it was last sent */
    char location[MAX_LOCATION];
    uint8_t token[MAX_TOKEN]; /* of the relation the server began */
    int token_length;
    int object;               /* that it is about */
    uint32_t sequence;        /* of its last notification */
#ifdef DTLS
    SSL *ssl;
#endif
} Client;

static int clients = 1000, in_flight = 64, silent = 0, port = 5683;
static double seconds = 5, warm_up = 1, rate = 0;
static const char *host = "127.0.0.1", *links = "</>;rt=\"oma.lwm2m\";ct=112,</1/0>,</4/0>,</5/0>,</3303/0>";
static int pids[MAX_PIDS], pid_count = 0;

static Client *all;
static int udp;
static struct sockaddr_in server;
static struct {
    long done, repeated, reset, refused, reads, unanswered, samples;
    uint64_t *latency;
} counts;
static int under_way = 0;
static Mode asking;

static uint64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* --- what the server costs --------------------------------------------------------------------- */

typedef struct { double user, system; } Cpu;

/* Seconds all threads of the server's processes have run: fields 14, 15 of /proc/PID/stat, proc(5). */
static Cpu server_cpu(void) {
    Cpu total = {0, 0};
    double ticks = sysconf(_SC_CLK_TCK);
    for (int i = 0; i < pid_count; i++) {
        char name[64], text[1024];
        unsigned long user, system;
        snprintf(name, sizeof name, "/proc/%d/stat", pids[i]);
        FILE *file = fopen(name, "r");
        if (!file) fail(name);
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        char *rest = strrchr(text, ')');
        const char *format = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
        if (!rest || sscanf(rest, format, &user, &system) != 2) {
            fprintf(stderr, "%s cannot be read\n", name);
            exit(1);
        }
        total.user += user / ticks;
        total.system += system / ticks;
    }
    return total;
}

/* --- DTLS -------------------------------------------------------------------------------------- */

#ifdef DTLS
static SSL_CTX *context;

static unsigned int name_client(
    SSL *ssl, const char *hint, char *identity, unsigned int room, unsigned char *key, unsigned int key_room
) {
    (void)hint;
    snprintf(identity, room, "load-%d", (int)((Client *)SSL_get_app_data(ssl) - all));
    if (key_room < sizeof KEY - 1) return 0;
    memcpy(key, KEY, sizeof KEY - 1);
    return sizeof KEY - 1;
}

static void prepare_dtls(void) {
    context = SSL_CTX_new(DTLS_client_method());
    if (!context || !SSL_CTX_set_cipher_list(context, "PSK-AES128-CCM8:@SECLEVEL=0")) {
        fprintf(stderr, "OpenSSL has no PSK-AES128-CCM8\n");
        exit(1);
    }
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_psk_client_callback(context, name_client);
}

/* What is in a datagram for client i, in place of it; 0 if that is for DTLS alone. */
static int unseal(int i, uint8_t *bytes, int size) {
    SSL *ssl = all[i].ssl;
    if (!ssl) return 0;
    BIO_write(SSL_get_rbio(ssl), bytes, size);
    int length = SSL_is_init_finished(ssl) ? SSL_read(ssl, bytes, DATAGRAM) : 0;
    return length > 0 ? length : 0;
}

static int seal(int i, uint8_t *bytes, int size) {
    SSL_write(all[i].ssl, bytes, size);
    return BIO_read(SSL_get_wbio(all[i].ssl), bytes, DATAGRAM);
}
#endif

/* --- datagrams out ----------------------------------------------------------------------------- */

static struct mmsghdr out[BATCH];
static struct iovec out_data[BATCH];
static uint8_t out_bytes[BATCH][DATAGRAM];
static uint8_t out_control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
static int out_count = 0;

static void flush(void) {
    for (int done = 0; done < out_count;) {
        int sent = sendmmsg(udp, out + done, out_count - done, 0);
        if (sent >= 0) {
            done += sent;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ECONNREFUSED) {
            struct pollfd writable = {udp, POLLOUT, 0};
            poll(&writable, 1, 10);
        } else {
            fail("sendmmsg");
        }
    }
    out_count = 0;
}

/* Room for the next datagram, which leaves from the address of client i. */
static uint8_t *begin(int i) {
    struct msghdr *message = &out[out_count].msg_hdr;
    memset(message, 0, sizeof *message);
    message->msg_name = &server;
    message->msg_namelen = sizeof server;
    message->msg_iov = &out_data[out_count];
    message->msg_iovlen = 1;
    message->msg_control = out_control[out_count];
    message->msg_controllen = sizeof out_control[out_count];
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo source = {.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + i)};
    memcpy(CMSG_DATA(control), &source, sizeof source);
    out_data[out_count].iov_base = out_bytes[out_count];
    return out_bytes[out_count];
}

static void commit_bytes(int size) {
    out_data[out_count].iov_len = size;
    if (++out_count == BATCH) flush();
}

/* A message of client i, up to its end. */
static void commit(int i, const uint8_t *end) {
    int size = end - out_bytes[out_count];
#ifdef DTLS
    size = seal(i, out_bytes[out_count], size);
#else
    (void)i;
#endif
    commit_bytes(size);
}

#ifdef DTLS
/* Whatever client i has to say in its handshake. */
static void commit_flight(int i) {
    uint8_t *bytes = begin(i);
    int size = BIO_read(SSL_get_wbio(all[i].ssl), bytes, DATAGRAM);
    if (size > 0) commit_bytes(size);
}

static void shake(int i) {
    Client *client = &all[i];
    if (client->ssl) SSL_free(client->ssl);
    client->ssl = SSL_new(context);
    SSL_set_app_data(client->ssl, client);
    SSL_set_mtu(client->ssl, 1400);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(client->ssl), -1);
    SSL_connect(client->ssl);
    commit_flight(i);
}
#endif

/* --- CoAP messages (RFC 7252, section 3) ------------------------------------------------------- */

typedef struct {
    uint8_t *at;
    int option; /* number of the last one */
} Writer;

static Writer put_head(
    uint8_t *to, int type, int code, uint16_t mid, const uint8_t *token, int token_length
) {
    to[0] = 0x40 | type << 4 | token_length;
    to[1] = code;
    to[2] = mid >> 8;
    to[3] = mid & 255;
    memcpy(to + 4, token, token_length);
    return (Writer){to + 4 + token_length, 0};
}

static int put_nibble(uint8_t **more, int value) {
    if (value < 13) return value;
    if (value < 269) {
        *(*more)++ = value - 13;
        return 13;
    }
    *(*more)++ = (value - 269) >> 8;
    *(*more)++ = (value - 269) & 255;
    return 14;
}

static void put_option(Writer *to, int number, const void *value, int length) {
    uint8_t *head = to->at++;
    int delta = put_nibble(&to->at, number - to->option);
    *head = delta << 4;
    *head |= put_nibble(&to->at, length);
    memcpy(to->at, value, length);
    to->at += length;
    to->option = number;
}

static void put_text(Writer *to, int number, const char *format, ...) {
    char text[256];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    put_option(to, number, text, length);
}

static void put_number(Writer *to, int number, uint32_t value) {
    uint8_t bytes[4] = {value >> 24, value >> 16, value >> 8, value};
    int skip = 0;
    while (skip < 4 && !bytes[skip]) skip++;
    put_option(to, number, bytes + skip, 4 - skip);
}

static void put_payload(Writer *to, const void *payload, int length) {
    *to->at++ = 0xff;
    memcpy(to->at, payload, length);
    to->at += length;
}

/* The next option, or false at the payload or the end. */
static bool take_option(
    const uint8_t **at, const uint8_t *end, int *number, const uint8_t **value, int *length
) {
    const uint8_t *p = *at;
    if (p >= end || *p == 0xff) return false;
    int nibbles[2] = {*p >> 4, *p & 15};
    p++;
    for (int i = 0; i < 2; i++) {
        int extended = nibbles[i] == 13 ? 1 : nibbles[i] == 14 ? 2 : 0;
        if (nibbles[i] == 15 || end - p < extended) return false;
        if (extended == 1) nibbles[i] = p[0] + 13;
        if (extended == 2) nibbles[i] = (p[0] << 8 | p[1]) + 269;
        p += extended;
    }
    if (end - p < nibbles[1]) return false;
    *number += nibbles[0];
    *value = p;
    *length = nibbles[1];
    *at = p + nibbles[1];
    return true;
}

/* --- what a client says ------------------------------------------------------------------------ */

static const uint8_t TEMPERATURE[] = {0xe4, 0x16, 0x44, 0x41, 0xb8, 0x00, 0x00}; /* 5700 = 23.0 */
static const char DEVICE[] = /* the example of LwM2M Core, 3/0 in TLV: 13 Resources */
    "\x08\x00\x79"
    "\xc8\x00\x14" "Open Mobile Alliance"
    "\xc8\x01\x16" "Lightweight M2M Client"
    "\xc8\x02\x09" "345000123"
    "\xc3\x03" "1.0"
    "\x86\x06" "\x41\x00\x01\x41\x01\x05"
    "\x88\x07\x08" "\x42\x00\x0e\xd8\x42\x01\x13\x88"
    "\x87\x08" "\x41\x00\x7d\x42\x01\x03\x84"
    "\xc1\x09" "\x64"
    "\xc1\x0a" "\x0f"
    "\x83\x0b" "\x41\x00\x00"
    "\xc4\x0d" "\x51\x82\x42\x8f"
    "\xc6\x0e" "+02:00"
    "\xc1\x10" "U";
static const uint8_t LOCATION[] = { /* 6/0: latitude 52.5, longitude 13.375, a time */
    0x08, 0x00, 0x12, 0xc4, 0x00, 0x42, 0x52, 0x00, 0x00, 0xc4, 0x01, 0x41, 0x56, 0x00, 0x00,
    0xc4, 0x05, 0x51, 0x82, 0x42, 0x8f,
};
static const uint8_t DEVICE_REPORT[] = /* 3/0 in SenML CBOR: battery, memory, time, UTC offset, binding */
    "\x85"
    "\xa3\x21\x65/3/0/\x00\x61" "9\x02\x18\x00"
    "\xa2\x00\x62" "10\x02\x0f"
    "\xa2\x00\x62" "13\x02\x1a\x65\x00\x00\x00"
    "\xa2\x00\x62" "14\x03\x66+02:00"
    "\xa2\x00\x62" "16\x03\x61U";
enum { BATTERY = 14, TIME = 31 }; /* where in it */
static const uint8_t SENSOR_REPORT[] = /* 3303/0 in SenML CBOR: value, least, most, last min range, units */
    "\x85"
    "\xa3\x21\x68/3303/0/\x00\x64" "5700\x02\xfa\x41\xb8\x00\x00"
    "\xa2\x00\x64" "5601\x02\xfa\x41\xa0\x00\x00"
    "\xa2\x00\x64" "5602\x02\xfa\x41\xc8\x00\x00"
    "\xa2\x00\x64" "5603\x02\xfa\xc2\x20\x00\x00"
    "\xa2\x00\x64" "5701\x03\x63" "Cel";
enum { VALUE = 22, LEAST = 35 };

/* A report of a client that is observed: two of its values depend on how many there were. */
static void put_report(Writer *to, const Client *client) {
    uint16_t tick = client->sequence;
    put_number(to, OBSERVE, client->sequence);
    put_number(to, CONTENT_FORMAT, SENML_CBOR);
    uint8_t *payload = to->at + 1;
    if (client->object == 3) {
        put_payload(to, DEVICE_REPORT, sizeof DEVICE_REPORT - 1);
        payload[BATTERY] = 24 + tick % 76;
        payload[TIME] = tick >> 8;
        payload[TIME + 1] = tick;
    } else {
        put_payload(to, SENSOR_REPORT, sizeof SENSOR_REPORT - 1);
        payload[VALUE] = payload[LEAST] = tick >> 8;
        payload[VALUE + 1] = payload[LEAST + 1] = tick;
    }
}

static uint8_t *compose(int i, uint8_t *to) {
    Client *client = &all[i];
    if (client->saying == NOTIFY) {
        Writer message = put_head(to, CON, CONTENT, client->mid, client->token, client->token_length);
        put_report(&message, client);
        return message.at;
    }
    uint8_t token[4] = {client->mid >> 8, client->mid, i >> 8, i};
    Writer message = put_head(to, CON, POST, client->mid, token, sizeof token);
    put_text(&message, URI_PATH, "rd");
    if (client->saying == UPDATE) {
        put_text(&message, URI_PATH, "%s", client->location);
        return message.at;
    }
    put_number(&message, CONTENT_FORMAT, LINK_FORMAT);
    put_text(&message, URI_QUERY, "ep=load-%d", i);
    put_text(&message, URI_QUERY, "lt=3600");
    put_text(&message, URI_QUERY, "lwm2m=1.1");
    put_text(&message, URI_QUERY, "b=U");
    put_payload(&message, links, strlen(links));
    return message.at;
}

static void ask(int i) {
    Client *client = &all[i];
    client->mid++;
    client->sequence++;
    client->waiting = true;
    client->saying = asking != MIXED ? asking : client->saying == NOTIFY ? UPDATE : NOTIFY;
#ifdef DTLS
    if (asking == SHAKE) shake(i);
    else
#endif
        commit(i, compose(i, begin(i)));
    client->asked = client->sent = now();
    under_way++;
}

/* A client without an answer repeats its request; the same bytes again. */
static void repeat(void) {
    uint64_t at = now();
    for (int i = 0; i < clients; i++) {
        if (all[i].waiting && at - all[i].sent > REPEAT_AFTER) {
#ifdef DTLS
            if (asking == SHAKE) shake(i);
            else
#endif
                commit(i, compose(i, begin(i)));
            all[i].sent = at;
            counts.repeated++;
        }
    }
    flush();
}

/* --- what a client hears ----------------------------------------------------------------------- */

static int *idle; /* a ring of clients that may ask */
static long idle_head = 0, idle_tail = 0;

static void rest(int i) { idle[idle_tail++ % clients] = i; }

static void answer_get(int i, const uint8_t *message, const uint8_t *end) {
    int token_length = message[0] & 15, number = 0, length;
    const uint8_t *token = message + 4, *at = token + token_length, *value;
    bool observes = false;
    int object = -1;
    while (take_option(&at, end, &number, &value, &length)) {
        if (number == OBSERVE && length == 0) observes = true;
        if (number == URI_PATH && object < 0) object = length == 1 ? value[0] - '0' : 10;
    }
    if (i >= clients - silent) {
        counts.unanswered += !all[i].asked_in_vain;
        all[i].asked_in_vain = true;
        return;
    }
    counts.reads++;
    Writer answer = put_head(begin(i), ACK, CONTENT, message[2] << 8 | message[3], token, token_length);
    if (observes) {
        Client *client = &all[i];
        memcpy(client->token, token, token_length);
        client->token_length = token_length;
        client->object = object;
        client->sequence = 1;
        put_report(&answer, client);
        commit(i, answer.at);
        return;
    }
    put_number(&answer, CONTENT_FORMAT, TLV);
    if (object == 3) put_payload(&answer, DEVICE, sizeof DEVICE - 1);
    else if (object == 6) put_payload(&answer, LOCATION, sizeof LOCATION);
    else put_payload(&answer, TEMPERATURE, sizeof TEMPERATURE);
    commit(i, answer.at);
}

static void take_location(Client *client, const uint8_t *at, const uint8_t *end) {
    int number = 0, length;
    const uint8_t *value;
    while (take_option(&at, end, &number, &value, &length)) {
        if (number == LOCATION_PATH && length < MAX_LOCATION) {
            memcpy(client->location, value, length);
            client->location[length] = 0;
        }
    }
}

/* Whether a message is what the client waits for. An empty Acknowledgement answers a notification; a
 * request it only confirms, and the response follows in a message of its own with the request's token. */
static bool is_answer(const Client *client, const uint8_t *message) {
    int type = message[0] >> 4 & 3, token_length = message[0] & 15, code = message[1];
    uint16_t mid = message[2] << 8 | message[3];
    if (!client->waiting) return false;
    if (type == CON || type == NON)
        return client->saying != NOTIFY && token_length == 4 && (message[4] << 8 | message[5]) == client->mid;
    return mid == client->mid && (type == RST || code != EMPTY || client->saying == NOTIFY);
}

static void done(int i, uint64_t at) {
    all[i].waiting = false;
    under_way--;
    counts.done++;
    if (counts.samples < SAMPLES) counts.latency[counts.samples++] = at - all[i].asked;
    rest(i);
}

static void hear(int i, const uint8_t *message, int size, uint64_t at) {
    const uint8_t *end = message + size;
    int type = message[0] >> 4 & 3, token_length = message[0] & 15, code = message[1];
    if (size < 4 + token_length || token_length > MAX_TOKEN) return;
    if (type == CON && code == GET) {
        answer_get(i, message, end);
        return;
    }
    Client *client = &all[i];
    if (type == CON) commit(i, put_head(begin(i), ACK, EMPTY, message[2] << 8 | message[3], message, 0).at);
    if (!is_answer(client, message)) return;
    if (type == RST) counts.reset++;
    if (code >= FIRST_ERROR) counts.refused++;
    if (code == CREATED) take_location(client, message + 4 + token_length, end);
    done(i, at);
}

static struct mmsghdr in[BATCH];
static struct iovec in_data[BATCH];
static uint8_t in_bytes[BATCH][DATAGRAM], in_control[BATCH][128];

static int addressee(struct msghdr *message) {
    for (struct cmsghdr *one = CMSG_FIRSTHDR(message); one; one = CMSG_NXTHDR(message, one)) {
        if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo local;
            memcpy(&local, CMSG_DATA(one), sizeof local);
            return (int)(ntohl(local.ipi_addr.s_addr) - FIRST_ADDRESS);
        }
    }
    return -1;
}

/* Deal with what has arrived, or arrives within 20 ms (1 ms at a given rate). */
static void listen_once(void) {
    struct pollfd readable = {udp, POLLIN, 0};
    if (poll(&readable, 1, rate > 0 ? 1 : 20) <= 0) return;
    for (int j = 0; j < BATCH; j++) in[j].msg_hdr.msg_controllen = sizeof in_control[j];
    int received = recvmmsg(udp, in, BATCH, MSG_DONTWAIT, NULL);
    uint64_t at = now();
    for (int j = 0; j < received; j++) {
        int i = addressee(&in[j].msg_hdr);
        int size = in[j].msg_len;
        if (i < 0 || i >= clients) continue;
#ifdef DTLS
        size = unseal(i, in_bytes[j], size);
        if (asking == SHAKE && all[i].ssl && !SSL_is_init_finished(all[i].ssl)) {
            SSL_do_handshake(all[i].ssl);
            commit_flight(i);
            if (all[i].waiting && SSL_is_init_finished(all[i].ssl)) done(i, at);
        }
#endif
        if (size >= 4) hear(i, in_bytes[j], size, at);
    }
    flush();
}

/* --- the loop ---------------------------------------------------------------------------------- */

/* Ask and listen until the time is over, or (if there is a limit) so many requests were answered. */
static double run(Mode mode, long limit, double duration) {
    uint64_t *latency = counts.latency;
    memset(&counts, 0, sizeof counts);
    counts.latency = latency;
    asking = mode;
    idle_head = idle_tail = 0;
    for (int i = 0; i < clients; i++) {
        if (!all[i].waiting) rest(i);
    }
    uint64_t start = now(), end = start + (uint64_t)(duration * SECOND), scanned = start;
    for (long asked = 0; now() < end && !(limit && counts.done >= limit);) {
        long allowed = limit ? limit : LONG_MAX;
        if (rate > 0 && !limit) allowed = (double)(now() - start) / SECOND * rate;
        for (; under_way < in_flight && idle_head < idle_tail && asked < allowed; asked++)
            ask(idle[idle_head++ % clients]);
        flush();
        listen_once();
        if (now() - scanned > REPEAT_AFTER / 2) {
            scanned = now();
            repeat();
        }
    }
    return (double)(now() - start) / SECOND;
}

static void tell(const char *what) {
    puts(what);
    fflush(stdout);
}

static void register_all(void) {
    run(REGISTER, clients, REGISTER_WITHIN);
    if (counts.done < clients || counts.refused) {
        fprintf(stderr, "%ld of %d clients answered, %ld refused\n", counts.done, clients, counts.refused);
        exit(1);
    }
    tell("registered");
}

#ifdef DTLS
static void shake_all(void) {
    run(SHAKE, clients, REGISTER_WITHIN);
    if (counts.done < clients) {
        fprintf(stderr, "%ld of %d clients have a session\n", counts.done, clients);
        exit(1);
    }
}
#endif

static void await_observations(void) {
    int observed = 0;
    for (uint64_t end = now() + OBSERVE_WITHIN; observed < clients && now() < end;) {
        listen_once();
        observed = 0;
        for (int i = 0; i < clients; i++) observed += all[i].token_length > 0;
    }
    if (observed < clients) {
        fprintf(stderr, "the server observes %d of %d clients\n", observed, clients);
        exit(1);
    }
}

static void answer(void) {
    bool told = silent == 0;
    for (uint64_t end = now() + (uint64_t)(seconds * SECOND); now() < end;) {
        listen_once();
        if (!told && counts.unanswered == silent) {
            tell("unanswered");
            told = true;
        }
    }
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double percentile(int percent) {
    return counts.samples ? counts.latency[counts.samples * percent / 100] / 1e3 : 0;
}

static void measure(Mode mode) {
    if (warm_up > 0) run(mode, 0, warm_up);
    Cpu before = server_cpu();
    clock_t own = clock();
    double elapsed = run(mode, 0, seconds);
    own = clock() - own;
    Cpu after = server_cpu();
    double user = after.user - before.user, system = after.system - before.system, done = counts.done;
    if (!counts.done) {
        fprintf(stderr, "nothing was answered\n");
        exit(1);
    }
    qsort(counts.latency, counts.samples, sizeof *counts.latency, compare);
    printf("{\"done\": %ld, \"errors\": %ld, \"repeated\": %ld, \"reads\": %ld, \"rate\": %.1f, "
           "\"cpu_us\": %.1f, \"cpu_us_system\": %.1f, \"p50_us\": %.0f, \"p99_us\": %.0f, "
           "\"server_busy\": %.2f, \"generator_busy\": %.2f}\n",
           counts.done, counts.refused + counts.reset, counts.repeated, counts.reads, done / elapsed,
           (user + system) / done * 1e6, system / done * 1e6, percentile(50), percentile(99),
           (user + system) / elapsed, (double)own / CLOCKS_PER_SEC / elapsed);
}

static void open_socket(void) {
    struct sockaddr_in any = {.sin_family = AF_INET};
    int one = 1, buffer = 4 << 20;
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (udp < 0 || bind(udp, (struct sockaddr *)&any, sizeof any)) fail("socket");
    if (setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &one, sizeof one)) fail("IP_PKTINFO");
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(udp, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (!inet_aton(host, &server.sin_addr)) fail("-h takes an IPv4 address");
    for (int j = 0; j < BATCH; j++) {
        in_data[j] = (struct iovec){in_bytes[j], DATAGRAM};
        in[j].msg_hdr.msg_iov = &in_data[j];
        in[j].msg_hdr.msg_iovlen = 1;
        in[j].msg_hdr.msg_control = in_control[j];
    }
}

static Mode mode_named(const char *name) {
    if (!strcmp(name, "register")) return REGISTER;
    if (!strcmp(name, "update")) return UPDATE;
    if (!strcmp(name, "notify")) return NOTIFY;
    if (!strcmp(name, "mixed")) return MIXED;
    if (!strcmp(name, "answer")) return ANSWER;
#ifdef DTLS
    if (!strcmp(name, "handshake")) return SHAKE;
#endif
    fprintf(stderr, "-m is register, update, notify, mixed or answer, not %s\n", name);
    exit(2);
}

int main(int count, char **arguments) {
    Mode mode = UPDATE;
    for (int option; (option = getopt(count, arguments, "h:p:m:k:n:r:u:s:w:l:P:")) != -1;) {
        switch (option) {
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'm': mode = mode_named(optarg); break;
        case 'k': clients = atoi(optarg); break;
        case 'n': in_flight = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'u': silent = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'l': links = optarg; break;
        case 'P':
            if (pid_count < MAX_PIDS) pids[pid_count++] = atoi(optarg);
            break;
        default: return 2;
        }
    }
    all = calloc(clients, sizeof *all);
    idle = calloc(clients, sizeof *idle);
    counts.latency = calloc(SAMPLES, sizeof *counts.latency);
    if (!all || !idle || !counts.latency) fail("calloc");
    srand(time(NULL) ^ getpid());
    for (int i = 0; i < clients; i++) all[i].mid = rand();
    open_socket();
#ifdef DTLS
    prepare_dtls();
    if (mode != SHAKE) shake_all();
#endif
    if (mode != REGISTER && mode != SHAKE) register_all();
    if (mode == NOTIFY || mode == MIXED) await_observations();
    if (mode == ANSWER) answer();
    else measure(mode);
    return 0;
}
