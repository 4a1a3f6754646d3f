/*
 * Groups of sockets that share a port: SO_REUSEPORT.
 *
 * The kernel chooses among the members by a hash, or by a BPF program that tells the place of one;
 * places are given in the order of bind(2), of listeners in that of listen(2).  Neither place nor
 * program can be asked for, so both are read from the kernel's memory:
 *
 *	sock -> sock_reuseport: socks[], prog -> bpf_prog: orig_prog, as SO_ATTACH_REUSEPORT_CBPF
 *took it
 *
 * At restore members are bound, and listen, in the order of their places, and one of them sets the
 * program again.  An eBPF program is refused.  So is one that chooses among sockets outside of the
 * tree as well: their places cannot be had again.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "socket/inet.h"
#include "socket/sock_memory.h"

enum member { GROUP, N_SOCKS, PROGRAM, SOCKS, ORIGINAL, ORIGINAL_LEN, ORIGINAL_CODE, N_MEMBERS };

static const struct kernel_member members[N_MEMBERS] = {
	[GROUP] = {"sock", "sk_reuseport_cb"},
	[N_SOCKS] = {"sock_reuseport", "num_socks"},
	[PROGRAM] = {"sock_reuseport", "prog"},
	[SOCKS] = {"sock_reuseport", "socks"},
	[ORIGINAL] = {"bpf_prog", "orig_prog"},
	[ORIGINAL_LEN] = {"sock_fprog_kern", "len"},
	[ORIGINAL_CODE] = {"sock_fprog_kern", "filter"},
};

/* --- dump --- */

struct reuseport_group {
	uint64_t at; /* in the kernel */
	uint32_t n;  /* members */
	uint32_t met;
	bool has_program;
	struct file_source from; /* of one that was met */
	const InetSkEntry *e;
};

struct reuseport_look {
	struct arena *arena;
	struct sock_memory *sockets;
	struct kernel_layout layout;
	uint32_t offset[N_MEMBERS];
};

static struct reuseport_look *look_of(struct file_dump *d)
{
	struct inet_dump *in = inet_dump_of(d);
	struct sock_memory *m = sock_memory_get(d);
	if (in->reuseport || !m)
		return m ? in->reuseport : NULL;
	struct reuseport_look *l = arena_new(&d->s->arena, struct reuseport_look);
	l->arena = &d->s->arena;
	l->sockets = m;
	l->layout = (struct kernel_layout){sock_memory_kernel(m), l->offset};
	if (kernel_members_find(l->layout.memory, members, N_MEMBERS, l->offset) >= 0)
		in->reuseport = l;
	return in->reuseport;
}

/* Its place among n; n: it has none, since it was shut down. */
static uint32_t place_of(struct reuseport_look *l, uint64_t group, uint32_t n, uint64_t sock)
{
	uint64_t *socks = arena_array(l->arena, uint64_t, n + 1);
	kernel_bytes(l->layout.memory, group + l->offset[SOCKS], socks, n * sizeof(*socks));
	uint32_t i = 0;
	while (i < n && socks[i] != sock)
		i++;
	return i;
}

static struct reuseport_group *group_at(struct file_dump *d, uint64_t at, uint32_t n)
{
	struct inet_dump *in = inet_dump_of(d);
	struct reuseport_group *known = id_map_get(&in->reuseport_groups, at);
	if (known)
		return known;
	struct reuseport_group *g = arena_new(&d->s->arena, struct reuseport_group);
	*g = (struct reuseport_group){.at = at, .n = n};
	id_map_put(&d->s->arena, &in->reuseport_groups, at, g);
	*vec_push(&d->s->arena, &in->reuseport_all) = g;
	return g;
}

/* False: it is no classic one. */
static bool read_program(struct reuseport_look *l, uint64_t program, ProtobufCBinaryData *ret)
{
	uint64_t original = member_pointer(&l->layout, program, ORIGINAL);
	if (!original)
		return false;
	uint32_t len = member_number(&l->layout, original, ORIGINAL_LEN) & 0xffff;
	uint64_t code = member_pointer(&l->layout, original, ORIGINAL_CODE);
	ret->len = len * sizeof(struct sock_filter);
	ret->data = arena_alloc(l->arena, ret->len + !ret->len);
	kernel_bytes(l->layout.memory, code, ret->data, ret->len);
	return true;
}

enum reuseport reuseport_dump(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	struct reuseport_look *l = look_of(d);
	uint64_t sock = l ? sock_find(l->sockets, v->fd) : 0;
	uint64_t at = sock ? member_pointer(&l->layout, sock, GROUP) : 0;
	if (!sock || !at)
		return sock && !kernel_failed(l->layout.memory) ? REUSEPORT_KEPT
								: REUSEPORT_UNKNOWN;
	ProtobufCBinaryData code = {0};
	uint32_t n = member_number(&l->layout, at, N_SOCKS) & 0xffff;
	uint32_t place = place_of(l, at, n, sock);
	uint64_t program = member_pointer(&l->layout, at, PROGRAM);
	bool is_classic = program && read_program(l, program, &code);
	if (kernel_failed(l->layout.memory))
		return REUSEPORT_UNKNOWN;
	if (program && !is_classic)
		return REUSEPORT_EBPF;
	if (place == n)
		return REUSEPORT_KEPT;
	struct reuseport_group *g = group_at(d, at, n);
	g->met++;
	g->has_program = is_classic;
	g->from = v->from;
	g->e = e;
	if (n > 1 || is_classic) {
		FermataFileEntry *extra = file_extra_make(d, f);
		extra->has_reuseport_index = true;
		extra->reuseport_index = place;
		extra->has_reuseport_program = is_classic && !place;
		extra->reuseport_program = code;
	}
	return REUSEPORT_KEPT;
}

void reuseport_complete(struct file_dump *d)
{
	vec_for_each (&d->inet->reuseport_all, it) {
		const struct reuseport_group *g = *it;
		if (g->has_program && g->met < g->n)
			block(d->s, g->from.task->vpid, "detach it (SO_DETACH_REUSEPORT_BPF)",
				"%s: %s shares its port with %u sockets outside of the tree, among "
				"which a BPF program chooses",
				source_label(d, &g->from), inet_describe(d->s, g->e),
				g->n - g->met);
	}
}

/* --- restore --- */

int reuseport_check(struct file_set *f, const struct open_file *o)
{
	const FermataFileEntry *x = o->extra;
	size_t len = x && x->has_reuseport_program ? x->reuseport_program.len : 0;
	if (len % sizeof(struct sock_filter) == 0 &&
		len / sizeof(struct sock_filter) <= BPF_MAXINSNS)
		return 0;
	return fail(f->s, EBADMSG, "%s: the program of its port in its image is not sane",
		open_file_label(f, o));
}

int reuseport_restore(struct file_set *f, const struct open_file *o, int fd)
{
	const FermataFileEntry *x = o->extra;
	if (!x || !x->has_reuseport_program)
		return 0;
	struct sock_fprog program = {
		.len = (unsigned short)(x->reuseport_program.len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)x->reuseport_program.data};
	int yes = 1; /* which only those without a port do not have yet */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0)
		return 0;
	return fail(f->s, errno, "%s: attach the program that chooses among sockets of its port",
		open_file_label(f, o));
}

struct placed {
	struct open_file *o;
	uint32_t place;
	size_t at; /* in the images */
};

static int compare(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void reuseport_sort(struct file_set *f)
{
	struct inet_restore *in = inet_restore_of(f);
	size_t n = in->plain.n;
	struct placed *all = arena_array(&f->s->arena, struct placed, n + !n);
	for (size_t i = 0; i < n; i++) {
		struct open_file *o = in->plain.v[i];
		all[i] = (struct placed){o, file_extra_or(o, reuseport_index, 0), i};
	}
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++)
		in->plain.v[i] = all[i].o;
}
