/*
 * What all socket families share, beside file/dumping.h and file/restoring.h: options.
 *
 * A family is a file type like any other (file/type.h).  Its collect() lists the sockets of its
 * family once per run by sock_diag_list() (kernel/sock_diag.h), keeps them by inode, and finds
 * its own by v->st.stx_ino.
 */
#ifndef FERMATA_SOCKET_SOCKET_H
#define FERMATA_SOCKET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "file/dumping.h"
#include "file/file_extras.h"
#include "file/restoring.h"

#include "socket.pb-c.h"

/* SO_DOMAIN of a file under examination, -1 if it is no socket (or one opened with O_PATH). */
int socket_family(const struct file_view *v);

/* Of a family that has SO_PASSCRED and its like, unix or netlink; others lie. */
bool socket_passes_messages(const struct file_view *v);

/* getsockopt() of SOL_SOCKET for an int; absent if the kernel does not know it here. */
int socket_int(int fd, int option, int absent);

/* As getsockopt(2), but for what a list told already; the second as socket_int(). inet_told.c */
int socket_ask(const struct file_view *v, int level, int option, void *ret, socklen_t *len);
int socket_ask_int(const struct file_view *v, int option, int absent);

/*
 * All of SOL_SOCKET: what sk_opts_entry holds, and in f->extra what it does not.  Fills all of
 * *ret but fields of TCP.  Blocks what cannot be read (eBPF filters).
 */
int sk_opts_dump(
	struct file_dump *d, const struct file_view *v, struct dumped_file *f, SkOptsEntry **ret);

/* Another level's option, in f->extra, if it differs from what a new socket has. */
void sk_option_keep(struct file_dump *d, struct dumped_file *f, int level, int option,
	const void *value, size_t len);

/* Whether a dump asks for that option of level SOL_SOCKET; for tests. */
bool sk_option_is_kept(int option);

/* The part of sk_opts_dump(), sk_opts_restore() and sk_option_is_kept() that is options_extra.c. */
void sk_extras_dump(struct file_dump *d, const struct file_view *v, struct dumped_file *f);
int sk_extras_restore(struct file_set *f, const struct open_file *o, int fd);
bool sk_extra_is_kept(int option);

/* Before anything is forked: sane, its interface is there. */
int sk_opts_check(struct file_set *f, const struct open_file *o, const SkOptsEntry *e);

/*
 * Sets all that differs from a new socket, SO_REUSEADDR and SO_REUSEPORT included.  To be
 * called after queues are filled: buffers, SO_PEEK_OFF and filters would disturb that.
 */
int sk_opts_restore(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd);

/* Only the buffer sizes (0: leave it), which double what setsockopt() is given, and their locks. */
int sk_opts_buffers(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd);

/* Room for any queue, until sk_opts_restore(). 0 or a negative errno without a failure. */
int sk_opts_widen(int fd);

/* shutdown(2) as the image says. */
int sk_shutdown(struct file_set *f, const struct open_file *o, SkShutdown how, int fd);

#endif
