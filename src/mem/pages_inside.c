/*
 * The task writes its own pages: pwritev() steps straight from its memory into the pages image,
 * one copy in all.  Meanwhile the controller does what it can from the other end (pages_beside.c).
 *
 * The descriptor gets there in a message over a socket that the task makes and the controller takes
 * a copy of: it binds it, connects it to itself and sends; that works in any namespace.  All of it
 * is one program, whose wait for the message ends by itself, so a task whose controller dies in
 * the middle finishes the round and keeps nothing open.
 *
 * Steps may fail or fall short (a policy of the task's, a bad page, a full disk): the controller
 * then copies their chunks itself and learns the real reason.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "image/checksum.h"
#include "kernel/syscalls.h"

enum {
	/* A dead controller's task goes on only after its round. */
	ROUND_BYTES = 128 << 20,
	ROUND_SUMMED = 32 << 20, /* what is left to sum when all is written */
	ROUND_MIN = 4 << 20,
	WRITE_MAX = 64 << 20, /* in one call */
	/* so that all fits into one load of the agent's window */
	ROUND_IOVS = 12 * 1024,
	ROUND_STEPS = 2048,
	CONTROL_LEN = CMSG_SPACE(sizeof(int)),
	RECEIVE_MS = 300, /* a task whose controller is dead waits no longer */
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
	const struct page_chunk *chunks;
	size_t next, end; /* of them: behind this round; others are written from there on */
	struct pages_beside beside;
	struct program p;
	VEC(struct batch) batches; /* of this round */
	uint64_t bytes;
	size_t n_iovs;
	int socket_step;
	uint64_t written; /* all of the file below that, but for what is not readable */
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

/* Gives the socket a name of the kernel's choice and makes it its own peer. */
static int connect_to_itself(int socket)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(name);
	if (bind(socket, (struct sockaddr *)&name, sizeof(name.sun_family)) < 0 ||
		getsockname(socket, (struct sockaddr *)&name, &len) < 0 ||
		connect(socket, (struct sockaddr *)&name, len) < 0)
		return -errno;
	return 0;
}

/* What is not readable comes last, from outside. */
static void copy_beside(struct writing *w)
{
	while (w->end > w->next && !visit_has_played(w->visit)) {
		size_t first = pages_beside_choose(w->chunks + w->next, w->end - w->next) + w->next;
		if (first == w->end)
			first--;
		else if (!pages_beside_copy(&w->beside, w->chunks + first, w->end - first))
			break;
		w->end = first;
		checksums_behind(w->v->sums, w->pages_fd, w->chunks[first].offset);
	}
}

static int hand_over(struct writing *w)
{
	int64_t number = visit_await_step(w->visit, w->socket_step, RECEIVE_MS);
	if (number < 0)
		return 1;
	_cleanup_close_ int pidfd = sys_pidfd_open(w->v->t->pid, 0);
	_cleanup_close_ int socket = pidfd < 0 ? -1 : sys_pidfd_getfd(pidfd, (int)number);
	return socket < 0 || connect_to_itself(socket) < 0 || send_fd(w, socket) < 0;
}

/* While the task waits, and then writes. Returns 1 when it will get nothing. */
static int share(void *arg)
{
	struct writing *w = arg;
	int r = hand_over(w);
	if (r == 0)
		checksums_ahead(w->v->sums, w->pages_fd, w->written);
	if (r == 0)
		copy_beside(w);
	return r;
}

static void plan_close(struct writing *w, int fd_step)
{
	program_may_fail(&w->p,
		program_step(&w->p, "close", NULL, SYS_close, result_of(fd_step)));
}

/* The descriptor lands where a copy of the socket was: the lowest free number. Returns that step. */
static int plan_receive(struct writing *w)
{
	struct program *p = &w->p;
	struct arena *a = &w->s->arena;
	const struct timeval patience = {.tv_usec = RECEIVE_MS * 1000};
	const struct msghdr msg = {.msg_iovlen = 1, .msg_controllen = CONTROL_LEN};
	const struct iovec iov = {.iov_len = 1};
	struct arg msg_arg = in_copy(p, &msg, sizeof(msg));
	struct arg iov_arg = in_copy(p, &iov, sizeof(iov));
	program_link(p, msg_arg, offsetof(struct msghdr, msg_iov), iov_arg);
	program_link(p, msg_arg, offsetof(struct msghdr, msg_control),
		out(p, arena_alloc(a, CONTROL_LEN), CONTROL_LEN));
	program_link(p, iov_arg, offsetof(struct iovec, iov_base), out(p, arena_alloc(a, 1), 1));
	int copy, socket;
	socket = program_step(p, "make", "a socket", SYS_socket, imm(AF_UNIX),
		imm(SOCK_DGRAM | SOCK_CLOEXEC), imm(0));
	copy = program_step(p, "keep a place", NULL, SYS_fcntl, result_of(socket),
		imm(F_DUPFD_CLOEXEC), imm(0));
	program_step(p, "limit", "the wait", SYS_setsockopt, result_of(socket), imm(SOL_SOCKET),
		imm(SO_RCVTIMEO), in_copy(p, &patience, sizeof(patience)), imm(sizeof(patience)));
	program_may_fail(p, socket);
	program_may_fail(p, copy);
	program_may_fail(p, copy + 1);
	plan_close(w, copy);
	program_may_fail(p, program_step(p, "receive", "the pages image", SYS_recvmsg,
				    result_of(socket), msg_arg, imm(MSG_CMSG_CLOEXEC)));
	plan_close(w, socket);
	w->socket_step = socket;
	return copy;
}

/* --- one round --- */

/* Near the end rounds are short, so that both sides come to it at the same time. */
static uint64_t round_bytes(const struct writing *w)
{
	const struct page_chunk *first = &w->chunks[w->next], *last = &w->chunks[w->end - 1];
	const uint64_t most = w->v->sums ? ROUND_SUMMED : ROUND_BYTES;
	if (w->beside.uffd < 0)
		return most;
	uint64_t half = (last->offset + last->len - first->offset) / 2;
	return half < ROUND_MIN ? ROUND_MIN : half < most ? half : most;
}

/* Takes readable chunks until the round is full. */
static void gather(struct writing *w)
{
	struct batch *b = NULL;
	const uint64_t most = round_bytes(w);
	w->batches.n = 0;
	w->bytes = w->n_iovs = 0;
	for (; w->next < w->end && w->bytes < most && w->n_iovs < ROUND_IOVS &&
		w->batches.n < ROUND_STEPS;
		w->next++) {
		const struct page_chunk *c = &w->chunks[w->next];
		if (!c->readable) {
			b = NULL;
			continue;
		}
		if (!b || b->n == IOV_MAX || b->bytes + c->len > WRITE_MAX) {
			b = vec_push(&w->s->arena, &w->batches);
			*b = (struct batch){.first = w->next};
		}
		b->n++;
		b->bytes += c->len;
		w->bytes += c->len;
		w->n_iovs++;
	}
}

static void plan_batch(struct writing *w, struct batch *b, int fd_step)
{
	const struct page_chunk *chunks = w->chunks;
	struct iovec *iov = arena_array(&w->s->arena, struct iovec, b->n);
	for (size_t i = 0; i < b->n; i++)
		iov[i] =
			(struct iovec){(void *)chunks[b->first + i].addr, chunks[b->first + i].len};
	b->step = program_may_fail(
		&w->p, program_step(&w->p, "write", "its pages", SYS_pwritev, result_of(fd_step),
			       in(&w->p, iov, b->n * sizeof(*iov)), imm(b->n),
			       imm(chunks[b->first].offset), imm(0)));
}

/* Returns 1 when the task could have no descriptor. */
static int play_round(struct writing *w)
{
	program_reset(&w->p);
	int fd_step = plan_receive(w);
	vec_for_each (&w->batches, b)
		plan_batch(w, b, fd_step);
	plan_close(w, fd_step);
	return visit_play_meanwhile(w->visit, &w->p, share, w);
}

static int write_round(struct writing *w)
{
	int r = play_round(w);
	bool nothing = r > 0;
	vec_for_each (&w->batches, b) {
		if (r < 0)
			return r;
		int64_t result = nothing ? -EBADF : program_result(&w->p, b->step);
		if (result == (int64_t)b->bytes) {
			progress_add(w->s, b->bytes);
			continue;
		}
		log_debug(w->s, "pid %d could not write its pages itself (%lld of %llu)",
			w->v->t->pid, (long long)result, (unsigned long long)b->bytes);
		r = pages_copy_outside(w->s, w->v, w->pages_fd, w->chunks + b->first, b->n);
	}
	return r < 0 ? r : 0;
}

static int copy_unreadable(struct writing *w, size_t n)
{
	const struct page_chunk *chunks = w->chunks;
	int r = 0;
	for (size_t i = 0, from; i < n && r >= 0; i++) {
		from = i;
		while (i < n && !chunks[i].readable)
			i++;
		if (i > from)
			r = pages_copy_outside(w->s, w->v, w->pages_fd, chunks + from, i - from);
		for (; from < i; from++)
			checksums_changed(w->v->sums, chunks[from].offset, chunks[from].len);
	}
	return r;
}

int pages_write_inside(struct session *s, const struct vma_dump *v, struct visit *visit,
	int pages_fd, const struct page_chunk *chunks, size_t n)
{
	struct writing w = {
		.s = s, .v = v, .visit = visit, .pages_fd = pages_fd, .chunks = chunks, .end = n};
	program_init(&w.p, s, arena_printf(&s->arena, "pid %d", v->t->pid));
	pages_beside_begin(&w.beside, v, pages_fd, chunks[n - 1].offset + chunks[n - 1].len);
	int r = 0;
	while (w.next < w.end && r >= 0) {
		gather(&w);
		if (w.batches.n)
			r = write_round(&w);
		w.written = chunks[w.next - 1].offset + chunks[w.next - 1].len;
	}
	pages_beside_end(&w.beside);
	return r < 0 ? r : copy_unreadable(&w, n);
}
