/*
 * libfermata-tcp: one end of a live connection moves from a process to another, in every state.
 *
 * Three processes: this one is the peer and keeps its socket; a first child holds the other end,
 * brings it into the state, saves it into a file and ends; a second child restores from the file
 * and goes on.  While it moves, the peer's socket drops whatever arrives (a filter), so that the
 * resets which the kernel sends for the missing end do no harm.
 * PROVES: F413 F414
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <fermata/tcp.h>
#include <netinet/tcp.h>

enum path { V4, V6, MAPPED };

enum { MUCH = 3 << 20 };

struct move {
	enum path path;
	int state;	  /* of the end that moves */
	size_t to_mover;  /* bytes that the peer writes first */
	size_t to_peer;	  /* bytes that the mover writes first; more than fits: until it blocks */
	bool peer_ends;	  /* the peer shuts its side down after that */
	bool mover_ends;  /* and the mover its */
	bool deaf_before; /* the peer does not hear of the latter */
	unsigned without; /* TCPI_OPT_: what the two do not agree on */
};

/* What the children tell: shared with them. */
struct report {
	size_t written; /* by the mover */
	int before, after;
	int reuse;
	char failed[200];
	int err;
	struct fermata_tcp saved;
	struct tcp_info info;
};

static struct report *report;
static bool isolated;

#define CHILD_NEED(cond)                                                                          \
	do {                                                                                      \
		if (!(cond)) {                                                                    \
			report->err = errno;                                                      \
			snprintf(report->failed, sizeof(report->failed), "line %d: %s", __LINE__, \
				#cond);                                                           \
			_exit(1);                                                                 \
		}                                                                                 \
	} while (0)

static unsigned char byte_at(size_t i, unsigned salt)
{
	return (unsigned char)(i * 31 + (i >> 8) * 17 + (i >> 16) * 3 + salt);
}

static void pattern(unsigned char *data, size_t at, size_t len, unsigned salt)
{
	for (size_t i = 0; i < len; i++)
		data[i] = byte_at(at + i, salt);
}

/* Up to `len` bytes of the stream from `at`, fewer if it would block for long. */
static size_t write_some(int fd, size_t at, size_t len, unsigned salt)
{
	static unsigned char data[1 << 16];
	size_t done = 0;
	while (done < len) {
		size_t n = len - done < sizeof(data) ? len - done : sizeof(data);
		pattern(data, at + done, n, salt);
		ssize_t put = send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};
			if (errno != EAGAIN || poll(&p, 1, 30) <= 0)
				break;
			continue;
		}
		done += (size_t)put;
	}
	return done;
}

/* All of it, unless the connection breaks or stands still. */
static bool write_all(int fd, size_t at, size_t len, unsigned salt)
{
	size_t end = at + len;
	for (int calm = 0; at < end && calm < 300; calm++) {
		size_t n = write_some(fd, at, end - at, salt);
		at += n;
		calm = n ? 0 : calm;
	}
	return at == end;
}

/* Reads `len` bytes of the stream; false at a wrong one, an error, or an early end. */
static bool read_all(int fd, size_t at, size_t len, unsigned salt)
{
	static unsigned char data[1 << 16], want[1 << 16];
	for (size_t done = 0; done < len;) {
		size_t n = len - done < sizeof(data) ? len - done : sizeof(data);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, 10000) <= 0)
			return false;
		ssize_t got = recv(fd, data, n, 0);
		if (got <= 0)
			return false;
		pattern(want, at + done, (size_t)got, salt);
		if (memcmp(data, want, (size_t)got) != 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static int state_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? -errno : info.tcpi_state;
}

static bool reaches(int fd, int state)
{
	for (int i = 0; i < 3000 && state_of(fd) != state; i++)
		poll(NULL, 0, 1);
	return state_of(fd) == state;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info;
}

static int set_deaf(int fd, bool deaf)
{
	struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog prog = {.len = 1, .filter = &drop};
	return deaf ? setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog))
		    : setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &prog, sizeof(prog));
}

static void deafen(int fd, bool deaf)
{
	assert_int_equal(set_deaf(fd, deaf), 0);
}

static int listener(enum path path, struct sockaddr_storage *name, socklen_t *len)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)name;
	struct sockaddr_in *four = (struct sockaddr_in *)name;
	memset(name, 0, sizeof(*name));
	name->ss_family = path == V4 ? AF_INET : AF_INET6;
	*len = path == V4 ? sizeof(*four) : sizeof(*six);
	if (path == V4)
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		inet_pton(AF_INET6, path == V6 ? "::1" : "::ffff:127.0.0.1", &six->sin6_addr);
	int fd = socket(name->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)name, *len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)name, len), 0);
	return fd;
}

/* --- the ends that move --- */

static void save_to(int file, int fd)
{
	struct fermata_tcp c;
	report->reuse = fermata_tcp_pause(fd);
	CHILD_NEED(report->reuse >= 0);
	int r = fermata_tcp_save(fd, &c);
	if (r < 0) {
		snprintf(report->failed, sizeof(report->failed), "save: %s", c.failed);
		report->err = -r;
		_exit(1);
	}
	report->saved = c;
	CHILD_NEED(write(file, c.inq, c.inq_len) == (ssize_t)c.inq_len);
	CHILD_NEED(write(file, c.outq, c.outq_len) == (ssize_t)c.outq_len);
	fermata_tcp_release(&c);
	close(fd);
}

/* step: told by the peer over the pipe when its part of the state is done */
static void first_holder(const struct move *m, int fd, int step, int file)
{
	char c;
	int one = 1;
	CHILD_NEED(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	report->written = m->state == TCP_SYN_SENT ? 0 : write_some(fd, 0, m->to_peer, 7);
	CHILD_NEED(read(step, &c, 1) == 1);
	if (m->mover_ends)
		CHILD_NEED(!shutdown(fd, SHUT_WR));
	CHILD_NEED(read(step, &c, 1) == 1);
	CHILD_NEED(reaches(fd, m->state));
	report->before = state_of(fd);
	CHILD_NEED(read(step, &c, 1) == 1);
	CHILD_NEED(!set_deaf(fd, true));
	report->info = info_of(fd);
	save_to(file, fd);
	_exit(0);
}

static int buffer_size(int fd, int option)
{
	int v = 0;
	socklen_t len = sizeof(v);
	CHILD_NEED(!getsockopt(fd, SOL_SOCKET, option, &v, &len));
	return v;
}

static void need_same_terms(const struct move *m, int fd)
{
	const unsigned kept = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	struct tcp_info now = info_of(fd);
	const struct tcp_info *old = &report->info;
	if (m->state == TCP_SYN_SENT) /* nothing is agreed on */
		return;
	CHILD_NEED((now.tcpi_options & kept) == (old->tcpi_options & kept));
	CHILD_NEED(!(now.tcpi_options & m->without));
	CHILD_NEED(now.tcpi_snd_wscale == old->tcpi_snd_wscale);
	CHILD_NEED(now.tcpi_rcv_wscale == old->tcpi_rcv_wscale);
	/* else it is as if there were some, until a segment is sent */
	if (old->tcpi_options & TCPI_OPT_TIMESTAMPS)
		CHILD_NEED(now.tcpi_snd_mss == old->tcpi_snd_mss);
}

static void second_holder(const struct move *m, int file, int step)
{
	struct fermata_tcp c = report->saved;
	char go;
	c.inq = malloc(c.inq_len + 1);
	c.outq = malloc(c.outq_len + 1);
	CHILD_NEED(pread(file, c.inq, c.inq_len, 0) == (ssize_t)c.inq_len);
	CHILD_NEED(pread(file, c.outq, c.outq_len, c.inq_len) == (ssize_t)c.outq_len);
	int fd = socket(c.local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int sndbuf = buffer_size(fd, SO_SNDBUF), rcvbuf = buffer_size(fd, SO_RCVBUF);
	int r = fermata_tcp_restore(fd, &c);
	if (r < 0) {
		snprintf(report->failed, sizeof(report->failed), "restore: %s", c.failed);
		report->err = -r;
		_exit(1);
	}
	CHILD_NEED(buffer_size(fd, SO_SNDBUF) == sndbuf && buffer_size(fd, SO_RCVBUF) == rcvbuf);
	report->after = state_of(fd);
	need_same_terms(m, fd);
	fermata_tcp_release(&c);
	CHILD_NEED(read(step, &go, 1) == 1);
	CHILD_NEED(!fermata_tcp_resume(fd, report->reuse));
	CHILD_NEED(buffer_size(fd, SO_REUSEADDR) == report->reuse);
	if (m->state == TCP_SYN_SENT)
		CHILD_NEED(reaches(fd, TCP_ESTABLISHED));
	CHILD_NEED(read_all(fd, 0, m->to_mover, 3));
	if (m->peer_ends)
		CHILD_NEED(recv(fd, &go, 1, 0) == 0);
	if (!m->mover_ends) {
		CHILD_NEED(write_all(fd, report->written, MUCH, 7));
		CHILD_NEED(!shutdown(fd, SHUT_WR));
	}
	if (!m->peer_ends)
		CHILD_NEED(read_all(fd, m->to_mover, MUCH, 3));
	CHILD_NEED(recv(fd, &go, 1, 0) == 0);
	_exit(0);
}

/* --- the peer --- */

static void need_child(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("%s (%s)", report->failed, strerror(report->err));
}

static void await(const volatile int *progress)
{
	for (int i = 0; i < 10000 && !*progress && !report->err; i++)
		poll(NULL, 0, 1);
}

/* A listener that hears no SYN, and an end that sent one. */
static int make_syn_sent(int listening, const struct sockaddr_storage *name, socklen_t len)
{
	deafen(listening, true);
	int fd = socket(name->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)name, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Of this network namespace. */
static void set_system(const char *name, bool on)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		skip();
	assert_int_equal(write(fd, on ? "1" : "0", 1), 1);
	close(fd);
}

static void set_terms(unsigned without)
{
	set_system("tcp_timestamps", !(without & TCPI_OPT_TIMESTAMPS));
	set_system("tcp_sack", !(without & TCPI_OPT_SACK));
	set_system("tcp_window_scaling", !(without & TCPI_OPT_WSCALE));
}

static int make_pair(const struct move *m, int *ret_peer, int *ret_listening)
{
	struct sockaddr_storage name;
	socklen_t len;
	*ret_listening = listener(m->path, &name, &len);
	if (m->state == TCP_SYN_SENT) {
		*ret_peer = -1;
		return make_syn_sent(*ret_listening, &name, len);
	}
	int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, len), 0);
	*ret_peer = accept(*ret_listening, NULL, NULL);
	assert_true(*ret_peer >= 0);
	return fd;
}

/* Both ends talk until all is said, and the peer sees the end. */
static void conclude(const struct move *m, int peer)
{
	size_t more = m->mover_ends ? 0 : MUCH;
	pid_t writer = -1;
	if (!m->peer_ends) {
		writer = fork();
		if (!writer) {
			bool ok = write_all(peer, m->to_mover, MUCH, 3);
			shutdown(peer, SHUT_WR);
			_exit(!ok);
		}
	}
	assert_true(read_all(peer, 0, report->written + more, 7));
	char c;
	assert_int_equal(recv(peer, &c, 1, 0), 0);
	if (writer > 0)
		need_child(writer);
}

/* Lets the first child bring its end into the state and save it. */
static void run_first(const struct move *m, int fd, int peer, int file)
{
	int step[2];
	assert_int_equal(pipe2(step, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (!pid) {
		if (peer >= 0)
			close(peer);
		close(step[1]);
		first_holder(m, fd, step[0], file);
	}
	close(fd);
	if (peer >= 0)
		assert_int_equal(write_some(peer, 0, m->to_mover, 3), m->to_mover);
	if (m->peer_ends && !m->deaf_before)
		assert_int_equal(shutdown(peer, SHUT_WR), 0);
	if (m->deaf_before)
		deafen(peer, true);
	assert_int_equal(write(step[1], "1", 1), 1);
	if (m->deaf_before)
		poll(NULL, 0, 50);
	if (m->deaf_before && m->peer_ends)
		assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_int_equal(write(step[1], "2", 1), 1);
	await(&report->before);
	if (peer >= 0)
		deafen(peer, true);
	assert_int_equal(write(step[1], "3", 1), 1);
	close(step[1]);
	close(step[0]);
	need_child(pid);
}

static void move(const struct move *m)
{
	int peer, listening, step[2];
	memset(report, 0, sizeof(*report));
	if (m->without)
		set_terms(m->without);
	int fd = make_pair(m, &peer, &listening);
	if (m->without)
		set_terms(0);
	int file = memfd_create("queues", MFD_CLOEXEC);
	if (peer >= 0 && !m->deaf_before) /* what it acknowledged by now is all it ever will */
		poll(NULL, 0, 20);
	run_first(m, fd, peer, file);
	assert_int_equal(pipe2(step, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (!pid) {
		if (peer >= 0)
			close(peer);
		close(step[1]);
		second_holder(m, file, step[0]);
	}
	await(&report->after);
	deafen(peer >= 0 ? peer : listening, false);
	assert_int_equal(write(step[1], "1", 1), 1);
	if (peer < 0)
		peer = accept(listening, NULL, NULL);
	if (m->state != TCP_CLOSE)
		conclude(m, peer);
	need_child(pid);
	assert_int_equal(report->before, m->state);
	assert_int_equal(report->after, m->state);
	if (m->to_peer > 1 << 30) /* a send queue with both parts */
		assert_true(report->saved.outq_len > 1 << 20 && report->saved.unsq_len > 0);
	close(peer);
	close(listening);
	close(file);
	close(step[0]);
	close(step[1]);
}

/* --- the tests --- */

static int isolate(void **state)
{
	(void)state;
	report = mmap(
		NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	isolated = unshare(CLONE_NEWNET) == 0;
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = isolated ? ioctl(fd, SIOCSIFFLAGS, &lo) : 0;
	close(fd);
	return report == MAP_FAILED ? -1 : r;
}

static void on_all_paths(struct move m)
{
	if (!isolated)
		skip();
	for (m.path = V4; m.path <= MAPPED; m.path++)
		move(&m);
}

enum { UNTIL_FULL = INT32_MAX };

static void test_established(void **state)
{
	(void)state;
	on_all_paths((struct move){.state = TCP_ESTABLISHED, .to_mover = 1000, .to_peer = 2000});
	on_all_paths((struct move){.state = TCP_ESTABLISHED});
}

static void test_full_queues(void **state)
{
	(void)state;
	on_all_paths((struct move){
		.state = TCP_ESTABLISHED, .to_mover = 2 << 20, .to_peer = UNTIL_FULL});
}

/* Whatever the system would agree on now. */
static void test_without_options(void **state)
{
	(void)state;
	const unsigned all = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	const unsigned without[] = {TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE, all};
	for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
		on_all_paths((struct move){.state = TCP_ESTABLISHED,
			.to_mover = 1000,
			.to_peer = 2000,
			.without = without[i]});
}

static void test_syn_sent(void **state)
{
	(void)state;
	on_all_paths((struct move){.state = TCP_SYN_SENT});
}

static void test_fin_wait(void **state)
{
	(void)state;
	on_all_paths((struct move){
		.state = TCP_FIN_WAIT2, .mover_ends = true, .to_mover = 100, .to_peer = 100});
	on_all_paths(
		(struct move){.state = TCP_FIN_WAIT1, .mover_ends = true, .to_peer = UNTIL_FULL});
	on_all_paths(
		(struct move){.state = TCP_FIN_WAIT1, .mover_ends = true, .deaf_before = true});
}

static void test_close_wait(void **state)
{
	(void)state;
	on_all_paths((struct move){
		.state = TCP_CLOSE_WAIT, .peer_ends = true, .to_mover = 100, .to_peer = 100});
	on_all_paths(
		(struct move){.state = TCP_CLOSE_WAIT, .peer_ends = true, .to_peer = UNTIL_FULL});
}

static void test_last_ack(void **state)
{
	(void)state;
	on_all_paths((struct move){.state = TCP_LAST_ACK,
		.peer_ends = true,
		.mover_ends = true,
		.to_mover = 100,
		.to_peer = UNTIL_FULL});
}

static void test_closing(void **state)
{
	(void)state;
	on_all_paths((struct move){.state = TCP_CLOSING,
		.peer_ends = true,
		.mover_ends = true,
		.deaf_before = true,
		.to_mover = 100});
}

static void test_close(void **state)
{
	(void)state;
	on_all_paths((struct move){
		.state = TCP_CLOSE, .peer_ends = true, .mover_ends = true, .to_mover = 100000});
}

static void test_refusals(void **state)
{
	(void)state;
	if (!isolated)
		skip();
	struct sockaddr_storage name;
	socklen_t len;
	struct fermata_tcp c;
	int fd = listener(V4, &name, &len);
	assert_int_equal(fermata_tcp_pause(fd), -EPERM);
	close(fd);

	struct move m = {.state = TCP_ESTABLISHED};
	int peer, listening;
	fd = make_pair(&m, &peer, &listening);
	assert_int_equal(send(peer, "!", 1, MSG_OOB), 1);
	assert_true(poll(&(struct pollfd){.fd = fd, .events = POLLPRI}, 1, 5000) == 1);
	assert_int_equal(fermata_tcp_pause(fd), 0);
	assert_int_equal(fermata_tcp_save(fd, &c), -EOPNOTSUPP);
	assert_string_equal(c.failed, "urgent data");
	assert_int_equal(fermata_tcp_unpause(fd, 0), 0);
	char byte;
	assert_int_equal(recv(fd, &byte, 1, MSG_OOB), 1);

	c = (struct fermata_tcp){.local = name, .remote = name, .state = TCP_LISTEN};
	assert_int_equal(fermata_tcp_restore(fd, &c), -EOPNOTSUPP);
	close(fd);
	close(peer);
	close(listening);
}

/* A saved connection that goes on where it was: nothing sent, nothing lost, REUSEADDR as before. */
static void test_unpause(void **state)
{
	(void)state;
	if (!isolated)
		skip();
	struct move m = {.state = TCP_ESTABLISHED};
	int peer, listening, fd = make_pair(&m, &peer, &listening);
	for (int reuse = 0; reuse < 2; reuse++) {
		struct fermata_tcp c;
		int now = -1;
		socklen_t len = sizeof(now);
		assert_int_equal(
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)), 0);
		assert_int_equal(write_some(peer, 0, 5000, 3), 5000);
		assert_int_equal(fermata_tcp_pause(fd), reuse);
		assert_int_equal(fermata_tcp_save(fd, &c), 0);
		assert_int_equal(c.inq_len, 5000);
		fermata_tcp_release(&c);
		assert_int_equal(fermata_tcp_unpause(fd, reuse), 0);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &now, &len), 0);
		assert_int_equal(now, reuse);
		assert_true(read_all(fd, 0, 5000, 3));
	}
	close(fd);
	close(peer);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_established),
		cmocka_unit_test(test_full_queues),
		cmocka_unit_test(test_without_options),
		cmocka_unit_test(test_syn_sent),
		cmocka_unit_test(test_fin_wait),
		cmocka_unit_test(test_close_wait),
		cmocka_unit_test(test_last_ack),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unpause),
	};
	return cmocka_run_group_tests(tests, isolate, NULL);
}
