/*
 * All unix sockets of the network namespace, by unix_diag (sock_diag(7)).
 *
 * The dump needs them to find out who is connected to whom, also outside the tree; the restore,
 * to see which names are taken.  What sock_diag does not tell: a connection that waits to be
 * accepted is no socket of the list, only its client is, with a peer of inode 0.
 */
#include <errno.h>
#include <linux/unix_diag.h>
#include <string.h>

#include "kernel/sock_diag.h"
#include "socket/unix.h"

struct reading {
	struct session *s;
	struct unix_table *table;
};

static const void *copy_attr(
	struct arena *a, const void *message, size_t len, unsigned type, size_t *ret_len)
{
	const void *at = sock_diag_attr(message, len, sizeof(struct unix_diag_msg), type, ret_len);
	if (!at)
		*ret_len = 0;
	return at && *ret_len ? arena_memdup(a, at, *ret_len) : NULL;
}

static int add(void *arg, const void *message, size_t len)
{
	struct reading *reading = arg;
	struct arena *a = &reading->s->arena;
	const size_t head = sizeof(struct unix_diag_msg);
	struct unix_diag_msg m;
	size_t n;
	if (len < head)
		return -EBADMSG;
	memcpy(&m, message, head);
	struct unix_info *u = arena_new(a, struct unix_info);
	*u = (struct unix_info){.ino = m.udiag_ino, .type = m.udiag_type, .state = m.udiag_state};
	u->shutdown = sock_diag_u8(message, len, head, UNIX_DIAG_SHUTDOWN, 0);
	u->has_peer = sock_diag_attr(message, len, head, UNIX_DIAG_PEER, &n);
	u->peer = sock_diag_u32(message, len, head, UNIX_DIAG_PEER, 0);
	u->name = copy_attr(a, message, len, UNIX_DIAG_NAME, &u->name_len);
	u->waiting = copy_attr(a, message, len, UNIX_DIAG_ICONS, &n);
	u->n_waiting = n / sizeof(*u->waiting);
	struct unix_diag_rqlen queues = {0};
	const void *at = sock_diag_attr(message, len, head, UNIX_DIAG_RQLEN, &n);
	if (at && n >= sizeof(queues))
		memcpy(&queues, at, sizeof(queues));
	u->in_bytes = queues.udiag_rqueue;
	u->out_bytes = queues.udiag_wqueue;
	struct unix_diag_vfs file;
	at = sock_diag_attr(message, len, head, UNIX_DIAG_VFS, &n);
	if (at && n >= sizeof(file)) {
		memcpy(&file, at, sizeof(file));
		u->has_file = true;
		u->file_ino = file.udiag_vfs_ino;
		u->file_dev = file.udiag_vfs_dev;
	}
	*vec_push(a, &reading->table->all) = u;
	id_map_put(a, &reading->table->by_ino, u->ino, u);
	return 0;
}

int unix_table_read(struct session *s, struct unix_table **ret)
{
	struct reading reading = {s, arena_new(&s->arena, struct unix_table)};
	struct unix_diag_req req = {
		.sdiag_family = AF_UNIX,
		.udiag_states = ~0u,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER |
			      UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN,
	};
	int r = sock_diag_list(s, &req, sizeof(req), add, &reading);
	if (r >= 0)
		*ret = reading.table;
	return r;
}

/*
 * Names of accepted sockets are their listener's and take nothing; but one that a program
 * bound and connected takes its own. Both look the same here: better to be wrong about a few.
 */
const struct unix_info *unix_table_bound(
	const struct unix_table *t, unsigned type, const void *name, size_t len)
{
	const struct unix_info *found = NULL;
	vec_for_each (&t->all, u)
		if ((*u)->type == type && (*u)->name_len == len && len &&
			memcmp((*u)->name, name, len) == 0) {
			if ((*u)->state == UNIX_LISTEN)
				return *u;
			found = *u;
		}
	return found;
}

const char *unix_name_text(struct arena *a, const void *name, size_t len)
{
	char text[2 * sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *from = name;
	size_t n = 0;
	if (!len)
		return "without a name";
	for (size_t i = 0; i < len && n < sizeof(text) - 1; i++) {
		unsigned char c = (unsigned char)from[i];
		if (!c && i && i == len - 1 && from[0])
			break; /* the end of a path */
		text[n++] = !c ? '@' : c < ' ' || c > '~' ? '?' : (char)c;
	}
	text[n] = '\0';
	return arena_printf(a, "\"%s\"", text);
}
