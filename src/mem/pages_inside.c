/*
 * The task writes its own pages: pwritev() steps straight from its memory into the pages image,
 * one copy in all.
 *
 * The descriptor gets there over a socket pair that the task makes and the controller takes one
 * end of; that works in any namespace.  The task closes its copy of the taken end right before it
 * receives, so the pages image lands on exactly that number: the lowest free one, with all
 * threads stopped.  A round (one program) closes everything again, so a task whose controller dies
 * in the middle of one ends it and keeps nothing open.
 *
 * Steps may fail or fall short (a policy of the task's, a bad page, a full disk): the controller
 * then copies their chunks itself and learns the real reason.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/syscalls.h"

enum {
	/* A dead controller's task goes on only after its round. */
	ROUND_BYTES = 128 << 20,
	ROUND_IOVS = 12 * 1024, /* their arrays fit into one load of the agent's window */
	CONTROL_LEN = CMSG_SPACE(sizeof(int)),
};

/* One pwritev() and the chunks it takes: first .. first + n. */
struct batch {
	size_t first, n;
	uint64_t bytes;
	int step;
};

struct writing {
	struct session *s;
	const struct vma_dump *v;
	struct visit *visit;
	int pages_fd;
	struct program p;
	VEC(struct batch) batches; /* of this round */
	uint64_t bytes;
	size_t n_iovs;
};

/* --- handing the descriptor over --- */

static int send_fd(struct writing *w, int socket)
{
	char byte = 0;
	_Alignas(struct cmsghdr) char control[CONTROL_LEN] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &w->pages_fd, sizeof(int));
	return sendmsg(socket, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* Takes one end of the pair and leaves the descriptor in it. */
static int post_fd(struct writing *w, int task_socket)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(w->v->t->pid, 0);
	if (pidfd < 0)
		return pidfd;
	_cleanup_close_ int socket = sys_pidfd_getfd(pidfd, task_socket);
	return socket < 0 ? socket : send_fd(w, socket);
}

/* Returns 0 and the pair's descriptors in the task, 1 when it could have none. */
static int make_pair(struct writing *w, int pair[2])
{
	program_reset(&w->p);
	pair[0] = pair[1] = -1;
	int step = program_may_fail(&w->p, program_step(&w->p, "socketpair", NULL, SYS_socketpair,
						   imm(AF_UNIX), imm(SOCK_SEQPACKET | SOCK_CLOEXEC),
						   imm(0), out(&w->p, pair, 2 * sizeof(int))));
	int r = visit_play(w->visit, &w->p);
	return r < 0 ? r : program_result(&w->p, step) < 0;
}

static void plan_close(struct writing *w, int fd)
{
	program_may_fail(&w->p, program_step(&w->p, "close", NULL, SYS_close, imm((uint64_t)fd)));
}

static void plan_receive(struct writing *w, const int pair[2])
{
	struct program *p = &w->p;
	struct arena *a = &w->s->arena;
	const struct msghdr msg = {.msg_iovlen = 1, .msg_controllen = CONTROL_LEN};
	const struct iovec iov = {.iov_len = 1};
	struct arg msg_arg = in_copy(p, &msg, sizeof(msg));
	struct arg iov_arg = in_copy(p, &iov, sizeof(iov));
	program_link(p, msg_arg, offsetof(struct msghdr, msg_iov), iov_arg);
	program_link(p, msg_arg, offsetof(struct msghdr, msg_control),
		out(p, arena_alloc(a, CONTROL_LEN), CONTROL_LEN));
	program_link(p, iov_arg, offsetof(struct iovec, iov_base), out(p, arena_alloc(a, 1), 1));
	plan_close(w, pair[1]);
	program_may_fail(
		p, program_step(p, "receive", "the pages image", SYS_recvmsg,
			   imm((uint64_t)pair[0]), msg_arg, imm(MSG_CMSG_CLOEXEC | MSG_DONTWAIT)));
	plan_close(w, pair[0]);
}

/* --- one round --- */

/* Takes readable chunks from *at on until the round is full. */
static void gather(struct writing *w, const struct page_chunk *chunks, size_t n, size_t *at)
{
	struct batch *b = NULL;
	w->batches.n = 0;
	w->bytes = w->n_iovs = 0;
	for (; *at < n && w->bytes < ROUND_BYTES && w->n_iovs < ROUND_IOVS; ++*at) {
		const struct page_chunk *c = &chunks[*at];
		if (!c->readable) {
			b = NULL;
			continue;
		}
		if (!b || b->n == IOV_MAX || b->bytes + c->len > PAGES_CHUNK_MAX) {
			b = vec_push(&w->s->arena, &w->batches);
			*b = (struct batch){.first = *at};
		}
		b->n++;
		b->bytes += c->len;
		w->bytes += c->len;
		w->n_iovs++;
	}
}

static void plan_batch(struct writing *w, const struct page_chunk *chunks, struct batch *b, int fd)
{
	struct iovec *iov = arena_array(&w->s->arena, struct iovec, b->n);
	for (size_t i = 0; i < b->n; i++)
		iov[i] =
			(struct iovec){(void *)chunks[b->first + i].addr, chunks[b->first + i].len};
	b->step = program_may_fail(
		&w->p, program_step(&w->p, "write", "its pages", SYS_pwritev, imm((uint64_t)fd),
			       in(&w->p, iov, b->n * sizeof(*iov)), imm(b->n),
			       imm(chunks[b->first].offset), imm(0)));
}

static int play_round(struct writing *w, const struct page_chunk *chunks)
{
	int pair[2];
	int r = make_pair(w, pair);
	if (r)
		return r;
	int posted = post_fd(w, pair[1]);
	program_reset(&w->p);
	plan_receive(w, pair);
	vec_for_each (&w->batches, b)
		if (posted >= 0)
			plan_batch(w, chunks, b, pair[1]);
	plan_close(w, pair[1]);
	r = visit_play(w->visit, &w->p);
	return r < 0 ? r : posted < 0;
}

static int write_round(struct writing *w, const struct page_chunk *chunks)
{
	int r = play_round(w, chunks);
	bool nothing = r > 0;
	vec_for_each (&w->batches, b) {
		if (r < 0)
			return r;
		int64_t result = nothing ? -EBADF : program_result(&w->p, b->step);
		if (result == (int64_t)b->bytes)
			continue;
		log_debug(w->s, "pid %d could not write its pages itself (%lld of %llu)",
			w->v->t->pid, (long long)result, (unsigned long long)b->bytes);
		r = pages_copy_outside(w->s, w->v, w->pages_fd, chunks + b->first, b->n);
	}
	return r < 0 ? r : 0;
}

static int copy_unreadable(struct writing *w, const struct page_chunk *chunks, size_t n)
{
	int r = 0;
	for (size_t i = 0, from; i < n && r >= 0; i++) {
		from = i;
		while (i < n && !chunks[i].readable)
			i++;
		if (i > from)
			r = pages_copy_outside(w->s, w->v, w->pages_fd, chunks + from, i - from);
	}
	return r;
}

int pages_write_inside(struct session *s, const struct vma_dump *v, struct visit *visit,
	int pages_fd, const struct page_chunk *chunks, size_t n)
{
	struct writing w = {.s = s, .v = v, .visit = visit, .pages_fd = pages_fd};
	program_init(&w.p, s, arena_printf(&s->arena, "pid %d", v->t->pid));
	int r = 0;
	for (size_t at = 0; at < n && r >= 0;) {
		gather(&w, chunks, n, &at);
		if (w.batches.n)
			r = write_round(&w, chunks);
	}
	return r < 0 ? r : copy_unreadable(&w, chunks, n);
}
