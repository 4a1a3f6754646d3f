/*
 * Descriptors opened, duplicated, moved, marked, passed, closed as fast as it goes, by threads that
 * share a table and by children with tables of their own: what is written to one is read from the
 * other, and in the end there are as many as in the beginning.
 * PROVES: F048
 * VARIANTS: scenario
 */
#include "race.h"
#include <sys/eventfd.h>
#include <sys/socket.h>

static void work(int beat, int own)
{
	for (uint64_t i = 1; racing(); i++) {
		char name[32];
		uint64_t got, v = i * 64 + (uint64_t)own;
		int p[2], d, f, e, m;

		NEED(!pipe2(p, i % 2 ? O_CLOEXEC : 0));
		d = i % 3 ? dup(p[1]) : fcntl(p[1], F_DUPFD_CLOEXEC, 100 + 10 * own);
		NEED(d >= 0);
		NEED(!close(p[1]));
		SAME(write(d, &v, 8), 8);
		SAME(read(p[0], &got, 8), 8);
		SAME(got, v);
		SAME(dup2(p[0], 300 + own), 300 + own);
		NEED(!close(p[0]));
		SAME(write(d, &v, 8), 8);
		SAME(read(300 + own, &got, 8), 8);
		SAME(got, v);
		NEED(!fcntl(300 + own, F_SETFD, FD_CLOEXEC));
		SAME(fcntl(300 + own, F_GETFD), FD_CLOEXEC);
		NEED(!close(d) && !close(300 + own));

		snprintf(name, sizeof(name), "f%d", own);
		f = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
		NEED(f >= 0);
		SAME(write(f, &v, 8), 8);
		if (i % 2)
			NEED(!unlink(in_dir(name)));
		SAME(pread(f, &got, 8, 0), 8);
		SAME(got, v);
		SAME(lseek(f, 0, SEEK_CUR), 8);
		NEED(!close(f));

		e = eventfd(7, 0);
		m = memfd_create("race", 0);
		NEED(e >= 0 && m >= 0);
		SAME(write(m, &v, 8), 8);
		SAME(read(e, &got, 8), 8);
		SAME(got, 7);
		SAME(pread(m, &got, 8, 0), 8);
		SAME(got, v);
		NEED(!close(e) && !close(m));
		race_beat(beat);
	}
}

static void *thread(void *arg)
{
	work((int)((long)arg & 0xff), (int)((long)arg >> 8));
	return NULL;
}

/* A descriptor goes round through a socket; it comes out as what went in. */
static void pass(int beat)
{
	int pair[2];

	NEED(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	for (uint64_t i = 1; racing(); i++) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr h;
		} c;
		char byte = 'x';
		struct iovec io = {&byte, 1};
		struct msghdr m = {.msg_iov = &io,
			.msg_iovlen = 1,
			.msg_control = &c,
			.msg_controllen = sizeof(c.buf)};
		uint64_t got;
		int e = eventfd((unsigned int)(i % 1000 + 1), EFD_CLOEXEC);

		NEED(e >= 0);
		memset(&c, 0, sizeof(c));
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.h), &e, sizeof(int));
		SAME(sendmsg(pair[0], &m, 0), 1);
		NEED(!close(e));
		SAME(recvmsg(pair[1], &m, 0), 1);
		memcpy(&e, CMSG_DATA(&c.h), sizeof(int));
		SAME(read(e, &got, 8), 8);
		SAME(got, i % 1000 + 1);
		NEED(!close(e));
		race_beat(beat);
	}
	close(pair[0]);
	close(pair[1]);
}

static void *passer(void *arg)
{
	pass((int)(long)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[4];
	pid_t pid;
	int fds, beat[5];

	race_setup(argc, argv);
	fds = count_fds();
	for (int i = 0; i < 5; i++)
		beat[i] = race_join();
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		work(beat[0], 0);
		SAME(count_fds(), fds);
		_exit(0);
	}
	for (int i = 1; i < 4; i++)
		t[i] = race_thread(thread, i << 8 | beat[i]);
	t[0] = race_thread(passer, beat[4]);
	race_ready();
	for (int i = 0; i < 4; i++)
		NEED(!pthread_join(t[i], NULL));
	need_exit(pid, 0);
	SAME(count_fds(), fds);
	ok();
}
