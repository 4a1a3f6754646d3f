/*
 * libfermata-tcp: moves one end of a live TCP connection from one socket to another.
 *
 *	int reuse = fermata_tcp_pause(old);		// sends nothing from here on
 *	fermata_tcp_save(old, &c);			// addresses, numbers, options, both queues
 *	close(old);					// in silence: neither FIN nor RST
 *	...						// in another process, another day
 *	int new = socket(c.local.ss_family, SOCK_STREAM, 0);
 *	fermata_tcp_restore(new, &c);			// still paused
 *	fermata_tcp_resume(new, reuse);
 *
 * The peer must not notice the time between: a paused socket still receives, and without a
 * socket the kernel answers with RST. So its packets have to be dropped from before save until
 * after restore, by nftables or a network namespace that is cut off; it sends them again.  What
 * restore() must make of packets itself carries the mark FERMATA_TCP_MARK: let those pass.
 *
 * Needs CAP_NET_ADMIN in the network namespace of the socket; states other than ESTABLISHED and
 * SYN_SENT also need CAP_NET_RAW.  All functions return a negative errno on failure. tcp(7) and
 * socket(7) options that are not part of the connection (TCP_NODELAY, SO_LINGER, SO_RCVBUF, ...)
 * are left to the caller: those that bind(2) depends on before, all others after restore.
 */
#ifndef FERMATA_TCP_H
#define FERMATA_TCP_H

#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* SO_MARK of packets that restore sends from the remote to the local address. */
#define FERMATA_TCP_MARK 0xC114

struct fermata_tcp {
	struct sockaddr_storage local, remote; /* AF_INET or AF_INET6, also v4-mapped */
	uint32_t state;			       /* TCP_ESTABLISHED, ...: not TCP_LISTEN */
	uint32_t options;		       /* agreed on: TCPI_OPT_TIMESTAMPS, _SACK, _WSCALE */
	uint32_t snd_wscale, rcv_wscale;       /* with TCPI_OPT_WSCALE */
	uint32_t mss_clamp;		       /* of the peer */
	uint32_t timestamp;		       /* of the next segment, with TCPI_OPT_TIMESTAMPS */

	/* Sequence numbers of the next byte, FIN and SYN included; lengths without them. */
	uint32_t inq_seq, outq_seq;
	uint32_t inq_len;  /* received, not read */
	uint32_t outq_len; /* written, not acknowledged */
	uint32_t unsq_len; /* the last of these, never sent */

	int has_window; /* the rest, struct tcp_repair_window, is known */
	uint32_t snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup;

	void *inq, *outq; /* the bytes; of malloc() when save() made them */

	const char *failed; /* after a failure: the step, such as "TCP_REPAIR_WINDOW" */
};

/*
 * Takes the socket out of traffic (TCP_REPAIR). Any state but LISTEN; CLOSE if it was connected.
 * Returns what SO_REUSEADDR was (0 or 1), which is overridden until fermata_tcp_resume().
 */
int fermata_tcp_pause(int fd);

/*
 * Reads a paused socket; changes nothing. On success c->inq and c->outq are the caller's to free
 * (fermata_tcp_release()). Data with an urgent mark cannot be saved: -EOPNOTSUPP; nor what has an
 * error to tell, be it that the connection broke: -ECONNRESET. That a mark was passed over (its
 * byte read by MSG_OOB) is not visible; sock_diag(7) shows a longer queue then.
 */
int fermata_tcp_save(int fd, struct fermata_tcp *c);

/*
 * Makes a fresh TCP socket of the family of c->local the end of that connection, and leaves it
 * paused. Queues may be of any size.  Buffer sizes end as they were. After a failure the socket is
 * still paused, so that it can be closed without a packet.
 */
int fermata_tcp_restore(int fd, struct fermata_tcp *c);

/*
 * Puts a paused socket back into traffic and SO_REUSEADDR to what it was; an established one then
 * asks the peer for its window, which also gets unsent data moving.
 */
int fermata_tcp_resume(int fd, int reuseaddr);

/* The same after no more than pause and save, without a packet. */
int fermata_tcp_unpause(int fd, int reuseaddr);

/* Frees inq and outq. */
void fermata_tcp_release(struct fermata_tcp *c);

#ifdef __cplusplus
}
#endif

#endif
