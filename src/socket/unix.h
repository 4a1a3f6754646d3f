/* What the files of unix sockets share: src/socket/unix_*.c. */
#ifndef FERMATA_SOCKET_UNIX_H
#define FERMATA_SOCKET_UNIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socket/socket.h"

/* unix_sk_entry.state, as the kernel's TCP states that sock_diag tells */
enum {
	UNIX_ESTABLISHED = 1,
	UNIX_CLOSE = 7,
	UNIX_LISTEN = 10,
};

enum { UNIX_MAX_FDS = 253 }; /* in one message: SCM_MAX_FD of net/core/scm.h */

/* unix_sk_entry.uflags */
enum {
	UNIX_EXTERN = 1,   /* stands for a peer outside the tree */
	UNIX_SERVICE = 2,  /* was connected to the dump tool itself */
	UNIX_CALLBACK = 4, /* a plugin makes it */
};

/* --- unix_diag.c: the sockets of the network namespace --- */

struct unix_info {
	uint32_t ino;
	uint8_t type, state;
	uint8_t shutdown; /* enum SkShutdown */
	bool has_peer;	  /* it has one, of inode `peer`, which is 0 if that is no open file */
	uint32_t peer;
	uint32_t in_bytes;  /* in its queue; of a datagram socket, in the first packet */
	uint32_t out_bytes; /* of memory in queues of others; of a listener the backlog */
	const char *name;   /* as in sockaddr_un, name_len bytes */
	size_t name_len;
	bool has_file;
	uint32_t file_ino, file_dev; /* the kernel's encoding, MAJOR << 20 | MINOR */
	const uint32_t *waiting;     /* of a listener: inodes of clients, 0: closed again */
	size_t n_waiting;
	struct unix_dumped *dumped; /* in the tree */
	bool external;		    /* has an entry as a peer outside */
	bool sent_is_known; /* of a client that waits: its extras have what it sent */
	FermataUnixClosed **closed; /* of a listener: of waiting[] those closed again; or NULL */
};

struct unix_table {
	struct id_map by_ino;
	VEC(struct unix_info *) all;
};

/* Lists them all. -ENOENT, with nothing recorded: this kernel cannot. */
int unix_table_read(struct session *s, struct unix_table **ret);
/* The one with that name and type that is bound or listens, or NULL. */
const struct unix_info *unix_table_bound(
	const struct unix_table *t, unsigned type, const void *name, size_t len);

/* "\"/run/s\"", "\"@abstract\"" or "without a name": for messages. */
const char *unix_name_text(struct arena *a, const void *name, size_t len);

/* --- dump --- */

struct unix_dumped {
	struct unix_info *info;
	struct dumped_file *f;
	UnixSkEntry *e;
	struct file_source from;
	bool has_input; /* poll(2) says so */
	struct kernel_queue *in_kernel; /* NULL: not asked, or not told */
	size_t n_written;
	VEC(SkPacketEntry *) packets;
};

struct unix_dump {
	struct unix_table *table;
	VEC(struct unix_dumped *) socks; /* grows while queues are looked into */
	struct unix_kernel *kernel;	 /* NULL: not asked, or not told */
};

FermataUnixSk *unix_extra_make(struct file_dump *d, struct dumped_file *f);
#define unix_block(d, u, remedy, fmt, ...)                                            \
	block((d)->s, (u)->from.task->vpid, (remedy), "%s: unix socket %s " fmt,      \
		source_label((d), &(u)->from),                                        \
		unix_name_text(&(d)->s->arena, (u)->info->name, (u)->info->name_len), \
		##__VA_ARGS__)

/* unix_names.c */
int unix_name_dump(struct file_dump *d, const struct file_view *v, struct unix_dumped *u);
/* unix_queue.c: what is in its queue, files included; blocks what cannot be kept. */
int unix_queue_look(struct file_dump *d, struct unix_dumped *u);
int unix_queue_write(struct file_dump *d, void *object);
/* unix_pending.c: what clients of this listener have sent by now, if the kernel lets us see it */
int unix_pending_look(struct file_dump *d, struct unix_dumped *u);
/* unix_peers.c: that all peers are there, or allowed not to be. */
int unix_peers_dump(struct file_dump *d);
/* unix_caller.c */
void unix_peercred_dump(struct file_dump *d, const struct file_view *v, struct dumped_file *f);

/* --- restore --- */

struct unix_packet {
	const SkPacketEntry *e;
	const FermataUnixPacket *extra; /* NULL: nothing */
	uint64_t offset;		/* in sk-queues.img */
};

struct unix_sock {
	struct open_file *o;
	const UnixSkEntry *e;
	const FermataUnixSk *x;		 /* NULL: nothing */
	struct unix_sock *peer;		 /* NULL: none in the images */
	VEC(struct unix_sock *) clients; /* whose peer it is */
	VEC(struct unix_sock *) waiting; /* of a listener: clients to be accepted, in order */
	VEC(struct unix_packet) queue;
	size_t next_extra; /* of x, while the queue is read */
	bool waits;	   /* is such a client */
	const FermataUnixClosed *closed; /* NULL: it is not closed again */
	bool listens;	   /* listen() was called, by: */
	const FermataUcred *listens_as;
	int fd;		/* -1: not made yet */
	int feeder;	/* other end of one whose peer is closed, or of none; -1 */
	bool connected; /* to its peer, or has none to connect to */
	bool outside;	/* replaced by --inherit-fd, or a peer that is not ours to make */
};

struct unix_set {
	struct id_map by_ino, by_id;
	VEC(struct unix_sock *) all;
	VEC(struct unix_sock *) senders;   /* of queued messages, closed again at the end */
	VEC(struct unix_sock *) listeners; /* likewise, for accepted sockets */
	VEC(const char *) new_files;	   /* made by bind() where there was none */
	struct unix_table *taken;	   /* NULL: not known */
	int queues;			   /* sk-queues.img, -1 */
	bool made;
};

/* unix_names.c */
int unix_name_check(struct file_set *f, struct unix_sock *u);
/* Gives fd the name of u, if it has one, and the file its mode and owner. */
int unix_name_bind(struct file_set *f, const struct unix_sock *u, int fd);
/* Only the name; a negative errno without a failure. */
int unix_name_bind_quietly(struct file_set *f, const struct unix_sock *u, int fd);
/*
 * An address that leads to the socket fd, whatever became of its name: valid as long as *ret_file
 * is open, -1 if it has none. 0 or a negative errno without a failure.
 */
int unix_address_of(int fd, struct sockaddr_un *ret, socklen_t *ret_len, int *ret_file);
bool unix_path_has_owner(const char *path);
bool unix_same_name(const UnixSkEntry *a, const UnixSkEntry *b);

/* unix_feed.c */
int unix_queue_load(struct file_set *f);
int unix_queue_check(struct file_set *f, const struct unix_sock *u);
int unix_queue_feed(struct file_set *f, struct unix_sock *u);
/* What a client has sent that waits to be accepted. */
int unix_send_again(struct file_set *f, struct unix_sock *client);

/* unix_caller.c: as the process with these credentials (NULL: the controller's own) would. */
int unix_call_socketpair(struct file_set *f, const FermataUcred *who, int type, int ret[2]);
int unix_call_listen(struct file_set *f, const FermataUcred *who, int fd, int backlog);
int unix_call_connect(struct file_set *f, const FermataUcred *who, int fd, int to);

/* unix_load.c: before any file is checked, and after all were */
int unix_load_queues(struct file_set *f);
int unix_load(struct file_set *f);
/* One of the images with that name, or one made for the moment; NULL: none. */
struct unix_sock *unix_listener_named(struct unix_set *set, const UnixSkEntry *e);
void unix_close_helpers(struct unix_set *set);
void unix_release(struct file_set *f);

/* unix_names.c: the restore failed; removes files of sockets that were not there before */
void unix_undo(struct file_set *f);

/* unix_restore.c: all of them at once; before any table is filled. */
int unix_make_all(struct file_set *f);

#endif
