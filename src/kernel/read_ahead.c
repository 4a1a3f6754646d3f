/*
 * A thread and a pipe of a megabyte.  The text is passed on in large pieces: seq_file gives a page
 * at a time, and to be woken costs more than to parse one.
 */
#include "kernel/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, PIPE = 1 << 20 };

/* The length; what is missing to a whole piece is behind the end, or *ret_err. */
static size_t read_piece(int fd, char *piece, int *ret_err)
{
	size_t have = 0;
	while (have < PIECE) {
		ssize_t n = read(fd, piece + have, PIECE - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*ret_err = n < 0 ? -errno : 0;
			break;
		}
		have += (size_t)n;
	}
	return have;
}

static void *read_all(void *arg)
{
	struct read_ahead *r = arg;
	char piece[PIECE];
	size_t len;
	do {
		len = read_piece(r->source, piece, &r->err);
		for (size_t done = 0; done < len;) {
			ssize_t n = write(r->to, piece + done, len - done);
			if (n < 0) {
				r->err = -errno; /* EPIPE: nobody wants the rest */
				len = 0;
				break;
			}
			done += (size_t)n;
		}
	} while (len == PIECE);
	close(r->to);
	return NULL;
}

bool read_ahead_begin(struct read_ahead *r, int source)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	fcntl(ends[1], F_SETPIPE_SZ, PIPE); /* or less: the limit of pipes may not allow it */
	*r = (struct read_ahead){.source = source, .from = ends[0], .to = ends[1]};
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&r->thread, NULL, read_all, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		close(ends[0]);
		close(ends[1]);
	}
	return !err;
}

int read_ahead_end(struct read_ahead *r)
{
	close(r->from);
	pthread_join(r->thread, NULL);
	return r->err;
}
