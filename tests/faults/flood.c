/* Registrations from many addresses at a steady rate, whatever becomes of them. Built and run by flood.py.
 *
 *     cc -O2 -o flood flood.c
 *     ./flood PORT RATE SECONDS ADDRESSES
 *
 * Each datagram is a Register under a name of its own, to 127.0.0.1:PORT, from one of the addresses
 * 127.2.0.1, 127.2.0.2, ... in turn; IP_PKTINFO sets it. Answers are not read. The last line on standard
 * output is the number of datagrams sent. Linux only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 50, DATAGRAM = 128, FIRST_ADDRESS = 0x7f020001 };

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

/* POST /rd?ep=flood-<number>&lwm2m=1.1&lt=300, Content-Format 40, </1/0>,</3303/0> */
static int registration(uint8_t *to, uint32_t number) {
    static const char *links = "</1/0>,</3303/0>";
    char name[32];
    int length = snprintf(name, sizeof name, "ep=flood-%08u", number);
    uint8_t *at = to;
    const uint8_t head[] = {0x42, 0x02, number >> 8, number, number >> 24, number >> 16};
    memcpy(at, head, sizeof head), at += sizeof head;
    memcpy(at, "\xb2rd\x11\x28", 5), at += 5;
    *at++ = 0x3d, *at++ = length - 13;
    memcpy(at, name, length), at += length;
    memcpy(at, "\x09lwm2m=1.1", 10), at += 10;
    memcpy(at, "\x06lt=300\xff", 8), at += 8;
    memcpy(at, links, strlen(links)), at += strlen(links);
    return at - to;
}

int main(int count, char **arguments) {
    if (count != 5) return fprintf(stderr, "flood PORT RATE SECONDS ADDRESSES\n"), 2;
    double rate = atof(arguments[2]), seconds = atof(arguments[3]);
    uint32_t addresses = atoi(arguments[4]), sent = 0;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    static struct mmsghdr out[BATCH];
    static struct iovec data[BATCH];
    static uint8_t bytes[BATCH][DATAGRAM], control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    double begun = now();
    while (sent < rate * seconds) {
        for (int i = 0; i < BATCH; i++, sent++) {
            data[i] = (struct iovec){bytes[i], registration(bytes[i], sent)};
            out[i].msg_hdr = (struct msghdr){&server, sizeof server, &data[i], 1, control[i], sizeof control[i], 0};
            struct cmsghdr *header = CMSG_FIRSTHDR(&out[i].msg_hdr);
            header->cmsg_level = IPPROTO_IP;
            header->cmsg_type = IP_PKTINFO;
            header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
            struct in_pktinfo source = {.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + sent % addresses)};
            memcpy(CMSG_DATA(header), &source, sizeof source);
        }
        if (sendmmsg(udp, out, BATCH, 0) < 0) perror("sendmmsg");
        double wait = begun + sent / rate - now();
        if (wait > 0) nanosleep(&(struct timespec){(time_t)wait, (wait - (time_t)wait) * 1e9}, NULL);
    }
    printf("%u\n", sent);
    return 0;
}
