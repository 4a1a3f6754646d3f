/* What the files about inet sockets share. Internal to src/socket. */
#ifndef FERMATA_SOCKET_INET_H
#define FERMATA_SOCKET_INET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "fermata/tcp.h"
#include "socket/net_lock.h"
#include "socket/socket.h"
#include "socket/guard.h"

/* States as the images have them, which are the kernel's (net/tcp_states.h). */
enum { INET_ESTABLISHED = 1, INET_CLOSE = 7, INET_LISTEN = 10 };

/* --- dump --- */

/* Options that a list may tell: inet_told.c. */
enum inet_told {
	TOLD_SNDBUF,
	TOLD_RCVBUF,
	TOLD_MARK,
	TOLD_TOS,
	TOLD_TCLASS,
	TOLD_RECVERR,
	TOLD_FREEBIND,
	TOLD_TRANSPARENT,
	TOLD_BIND_NO_PORT,
	TOLD_RECVERR_RFC4884,
	N_TOLD
};

/* What sock_diag and /proc/net know of a socket, by its inode. */
struct inet_listed {
	uint8_t shutdown; /* bits of SkShutdown */
	uint32_t rqueue;
	bool md5, ulp;
	uint32_t remote[4]; /* of raw and ping sockets, which getpeername(2) does not tell */

	/* Of sock_diag, whose sockets have a cookie. Names are as in the image. */
	uint64_t cookie; /* 0: the rest is not known */
	uint8_t state, protocol;
	uint16_t port, peer_port;
	uint32_t name[4], peer_name[4];
	uint32_t interface; /* 0: bound to none */
	uint32_t known;	    /* bit set of number[] */
	uint32_t number[N_TOLD];
	char congestion[16]; /* as getsockopt(2) fills it; empty: not known */
	bool has_info;
	uint64_t max_pacing_rate;
};

/* A TCP connection that will be saved after the verdict. */
struct tcp_source {
	struct file_source from;
	int fd; /* ours until the end of the dump */
	bool paused;
	bool pending; /* to be accepted by the tree itself: no packets of it need to be held back */
	InetSkEntry *e;
};

/* A connection, whether it will be saved or not. */
struct tcp_client {
	InetSkEntry *e;
	struct dumped_file *f;
};

struct inet_dump {
	struct id_map listed; /* by inode: struct inet_listed */
	uint32_t asked;	      /* bit set of lists that were read */
	int list_error;	      /* of one that could not be read, with its failure; 0: none */
	uint64_t net_cookie;  /* of the controller's network namespace */
	VEC(struct inet_usual *) usual;
	VEC(struct tcp_source *) connections;
	VEC(struct tcp_client) clients;
	VEC(struct tcp_listener *) listeners; /* tcp_pending.c: with connections to accept */
	VEC(struct tcp_pending *) pending;    /* of these the ones that are kept */
	struct net_lock lock;
	struct guard guard;
	rlim_t old_limit; /* of descriptors; 0: not raised */
	bool lock_checked;
	bool no_ao;	    /* the kernel does not know TCP-AO */
	bool groups_listed; /* multicast.c */
	VEC(struct multicast_group *) groups;
	struct reuseport_look *reuseport; /* reuseport.c; NULL: not known, or not to be had */
	struct id_map reuseport_groups;	  /* by address: struct reuseport_group */
	VEC(struct reuseport_group *) reuseport_all;
	bool programs_listed;	   /* inet_hidden.c */
	uint32_t choosing_program; /* likewise: the id of a BPF program; 0: there is none */
};

/* The state of all inet sockets of the dump, made at the first request. */
struct inet_dump *inet_dump_of(struct file_dump *d);

/* inet_list.c: NULL if no list has it. */
const struct inet_listed *inet_listed(
	struct file_dump *d, int family, int protocol, int type, uint64_t ino);

/* The same, of lists that were read before. */
const struct inet_listed *inet_listed_already(struct file_dump *d, uint64_t ino);

/* inet_told.c: an attribute of that socket in a list of sock_diag. */
struct sock_diag_item;
void inet_told_add(struct inet_listed *l, const struct sock_diag_item *item);
/* 1: it is that very socket, by its cookie; 0: it is not; or a negative errno. l may be NULL. */
int inet_is_listed(struct file_dump *d, const struct file_view *v, const struct inet_listed *l);

/* inet_options.c: IP, IPv6, TCP and UDP; those the image has no field for go to f->extra. */
void inet_options_dump(
	struct file_dump *d, const struct file_view *v, InetSkEntry *e, struct dumped_file *f);
/* inet_extras.c: what that needs beside its own socket; before it is called in another thread. */
void inet_options_prepare(struct file_dump *d, const InetSkEntry *e);

/* Whether a dump asks for that option, of any inet socket; for tests. */
bool inet_option_is_kept(int level, int option);

/*
 * inet_extras.c: the part of the above, and of inet_options_before(), that has no field.  silent:
 * those of IP_PKTOPTIONS are off.
 */
void inet_extras_dump(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	struct dumped_file *f, bool silent);
bool inet_extra_is_kept(int level, int option);

/* inet_hidden.c: blocks what no option tells; true if it did. */
bool inet_hidden_block(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	struct dumped_file *f);

/* reuseport.c: its place in its group, and the program that chooses there. */
enum reuseport {
	REUSEPORT_UNKNOWN, /* the kernel does not let it be read */
	REUSEPORT_KEPT,	   /* or there is nothing */
	REUSEPORT_EBPF	   /* a program that cannot be read */
};
enum reuseport reuseport_dump(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	struct dumped_file *f);
/* All were met: blocks groups with a program that are not all in the tree. */
void reuseport_complete(struct file_dump *d);

/* inet_queue.c: the datagrams that wait in a UDP socket; blocks what cannot be put back. */
int inet_queue_dump(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	const char *label, struct dumped_file *f);

/* tcp_dump.c: a connection, to be saved later, or what is in the way. events: of poll(2). */
int tcp_collect(struct file_dump *d, struct file_view *v, InetSkEntry *e, int events);
/* Of any TCP socket: the kind of keys that sign its packets, and cannot be read; NULL: none. */
const char *tcp_keys(struct file_dump *d, const struct file_view *v);
/* That connection is between sockets of the tree. */
void tcp_dump_unlock(struct file_dump *d, const InetSkEntry *e);
/* The dump failed or leaves the tasks alive: connections go on. Before tasks run. */
void tcp_dump_undo(struct file_dump *d);
/* The tasks are dead. */
void tcp_dump_done(struct file_dump *d);

/* --- restore --- */

struct tcp_target {
	struct open_file *o;
	const TcpStreamEntry *stream;	  /* NULL: --tcp-close */
	const FermataTcpPending *pending; /* tcp_pending.c; NULL: it is not */
	uint64_t payload;		  /* its offset in the image */
	int fd; /* from tcp_restore_hold() on; a pending one's when it is made */
};

struct inet_restore {
	VEC(struct open_file *) plain; /* all but TCP connections */
	bool plain_made;
	VEC(struct tcp_target *) connections;
	bool pending_made;
	struct id_map by_file;
	struct net_lock lock;
	bool locked;
	struct guard guard;
	rlim_t old_limit;
};

struct inet_restore *inet_restore_of(struct file_set *f);

/* Whether it is a TCP socket that has (or had) a peer. */
bool inet_is_connection(const InetSkEntry *e);
bool inet_is_tcp(const InetSkEntry *e);
bool inet_has_peer(const InetSkEntry *e);
/* Its own address means something on one interface only. */
bool inet_is_scoped(const InetSkEntry *e);

/* inet_name.c: "127.0.0.1:80", "[::1]:80"; port 0 of raw ones included */
const char *inet_label(struct session *s, const InetSkEntry *e, bool remote);
/* "UDP socket 127.0.0.1:53 -> 127.0.0.1:99" */
const char *inet_describe(struct session *s, const InetSkEntry *e);
/* Length of the address, 0 if the entry has none that is sane. */
socklen_t inet_name(const InetSkEntry *e, bool remote, struct sockaddr_storage *ret);
void inet_store_name(
	struct session *s, InetSkEntry *e, bool remote, const struct sockaddr_storage *name);
/* The address is 0.0.0.0 or ::. */
bool inet_is_any(const struct sockaddr_storage *name);

/* inet_options.c: what bind(2) and connect(2) depend on; then the rest. */
int inet_options_before(struct file_set *f, const struct open_file *o, int fd);
int inet_options_after(struct file_set *f, const struct open_file *o, int fd);
int inet_extras_before(struct file_set *f, const struct open_file *o, int fd);

/* inet_bind.c: probes the address; makes all sockets that are no connections. */
int inet_plain_check(struct file_set *f, struct open_file *o);
int inet_plain_make(struct file_set *f);
/* Its address or interface comes with a tun device only: nothing can be tried before. */
bool inet_waits_for_tun(const struct file_set *f, const InetSkEntry *e);

/* reuseport.c: puts all plain sockets into the order in which members of groups must be made. */
void reuseport_sort(struct file_set *f);
int reuseport_check(struct file_set *f, const struct open_file *o);
/* Before SO_LOCK_FILTER, which forbids it. */
int reuseport_restore(struct file_set *f, const struct open_file *o, int fd);

/* inet_inject.c: into a socket that is bound and nothing else yet; or not even that */
int inet_queue_check(struct file_set *f, const struct open_file *o);
int inet_queue_feed(struct file_set *f, struct open_file *o);
bool inet_queue_comes_first(const struct open_file *o);
int inet_queue_feed_first(struct file_set *f, struct open_file *o);

/* tcp_restore.c */
int tcp_check(struct file_set *f, struct open_file *o);
int tcp_create(struct file_set *f, struct open_file *o, int *ret_fd);
/* All that its images have, to be released. */
int tcp_read_stream(struct file_set *f, const struct tcp_target *t, struct fermata_tcp *ret);
/* Nothing else can fail: takes all connections in hand. */
int tcp_restore_hold(struct file_set *f);
/* The tasks are about to run. */
void tcp_restore_done(struct file_set *f);
void tcp_restore_undo(struct file_set *f);

#endif
