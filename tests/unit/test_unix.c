/* Queues of unix sockets, looked at without taking anything out; names for messages. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/options.h"
#include "socket/unix_peek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
	struct session s;
	struct options opt;
	struct file_dump d;
	struct task self;
	int pair[2];
	char seen[256]; /* "text+N," per message with N files */
};

static struct fixture *now;

static int note(struct file_dump *d, struct message *m, const char *data)
{
	char *end = now->seen + strlen(now->seen);
	(void)d;
	snprintf(end, (size_t)(now->seen + sizeof(now->seen) - end), "%.*s+%u,", (int)m->len, data,
		m->n_fds);
	return 0;
}

static const char *look(struct fixture *x, int type, uint8_t shut)
{
	struct unix_info info = {
		.type = (uint8_t)type, .state = UNIX_ESTABLISHED, .shutdown = shut};
	struct unix_dumped u = {.info = &info, .from = {.task = &x->self, .number = x->pair[1]}};
	x->seen[0] = '\0';
	now = x;
	assert_int_equal(unix_walk_queue(&x->d, &u, note), 0);
	return x->seen;
}

static void start(struct fixture *x, int type)
{
	assert_int_equal(socketpair(AF_UNIX, type, 0, x->pair), 0);
}

static void end(struct fixture *x)
{
	close(x->pair[0]);
	close(x->pair[1]);
}

static void put(struct fixture *x, const char *text, int n_files)
{
	char control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)control;
	if (n_files) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE((size_t)n_files * sizeof(int));
		*c = (struct cmsghdr){
			CMSG_LEN((size_t)n_files * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		for (int i = 0; i < n_files; i++)
			((int *)CMSG_DATA(c))[i] = STDIN_FILENO;
	}
	assert_int_equal(sendmsg(x->pair[0], &msg, MSG_DONTWAIT), strlen(text));
}

static int peek_off(const struct fixture *x)
{
	return socket_int(x->pair[1], SO_PEEK_OFF, -2);
}

static void stream_is_one_message(void **state)
{
	struct fixture *x = *state;
	start(x, SOCK_STREAM);
	assert_string_equal(look(x, SOCK_STREAM, 0), "");
	put(x, "ab", 0);
	put(x, "cd", 0);
	assert_string_equal(look(x, SOCK_STREAM, 0), "abcd+0,");
	assert_string_equal(look(x, SOCK_STREAM, 0), "abcd+0,");
	assert_int_equal(peek_off(x), -1);
	end(x);
}

static void stream_splits_before_files(void **state)
{
	struct fixture *x = *state;
	start(x, SOCK_STREAM);
	put(x, "ab", 0);
	put(x, "c", 0);
	put(x, "de", 2);
	put(x, "f", 0);
	put(x, "g", 1);
	put(x, "h", 3);
	assert_string_equal(look(x, SOCK_STREAM, 0), "abc+0,de+2,f+0,g+1,h+3,");
	int offset = 2;
	setsockopt(x->pair[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	assert_string_equal(look(x, SOCK_STREAM, 0), "abc+0,de+2,f+0,g+1,h+3,");
	assert_int_equal(peek_off(x), 2);
	char buf[8];
	assert_int_equal(recv(x->pair[1], buf, 1, 0), 1); /* the rest of a piece */
	assert_string_equal(look(x, SOCK_STREAM, 0), "bc+0,de+2,f+0,g+1,h+3,");
	end(x);
}

static void packets_keep_their_bounds(void **state)
{
	struct fixture *x = *state;
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	for (size_t i = 0; i < 2; i++) {
		start(x, types[i]);
		assert_string_equal(look(x, types[i], 0), "");
		put(x, "", 0);
		put(x, "ab", 1);
		put(x, "", 2);
		put(x, "", 0);
		put(x, "c", 0);
		put(x, "", 0);
		assert_string_equal(look(x, types[i], 0), "+0,ab+1,+2,+0,c+0,+0,");
		/* empty ones are shown only once: see unix_queue_write() */
		assert_string_equal(look(x, types[i], 0), "ab+1,c+0,");
		assert_int_equal(peek_off(x), -1);
		end(x);
	}
}

static void large_packet(void **state)
{
	struct fixture *x = *state;
	char large[150000];
	start(x, SOCK_DGRAM);
	memset(large, 'x', sizeof(large));
	assert_int_equal(send(x->pair[0], large, sizeof(large), 0), sizeof(large));
	put(x, "after", 0);
	const char *seen = look(x, SOCK_DGRAM, 0);
	assert_memory_equal(seen, "xxxx", 4);
	end(x);
}

static void end_of_file_is_no_message(void **state)
{
	struct fixture *x = *state;
	start(x, SOCK_SEQPACKET);
	put(x, "ab", 0);
	put(x, "", 0);
	put(x, "c", 0);
	shutdown(x->pair[0], SHUT_WR);
	assert_string_equal(look(x, SOCK_SEQPACKET, SK_SHUTDOWN__READ), "ab+0,+0,c+0,");
	assert_string_equal(look(x, SOCK_SEQPACKET, SK_SHUTDOWN__READ), "ab+0,c+0,");
	end(x);
}

static void errors_stay(void **state)
{
	struct fixture *x = *state;
	char c;
	start(x, SOCK_STREAM);
	put(x, "ab", 0);
	assert_int_equal(write(x->pair[1], "unread", 6), 6);
	close(x->pair[0]);
	assert_string_equal(look(x, SOCK_STREAM, SK_SHUTDOWN__BOTH), "ab+0,");
	assert_int_equal(recv(x->pair[1], &c, 1, 0), 1);
	assert_int_equal(recv(x->pair[1], &c, 1, 0), 1);
	assert_int_equal(recv(x->pair[1], &c, 1, 0), -1); /* ECONNRESET is still to be told */
	close(x->pair[1]);
}

static void names_for_messages(void **state)
{
	struct fixture *x = *state;
	struct arena *a = &x->s.arena;
	assert_string_equal(unix_name_text(a, NULL, 0), "without a name");
	assert_string_equal(unix_name_text(a, "/run/s", 7), "\"/run/s\"");
	assert_string_equal(unix_name_text(a, "\0ab\0c\0", 6), "\"@ab@c@\"");
	assert_string_equal(unix_name_text(a, "\0\x01\xff", 3), "\"@??\"");
	char longest[300];
	memset(longest, 'y', sizeof(longest));
	assert_true(strlen(unix_name_text(a, longest, sizeof(longest))) < 300);
}

static int setup(void **state)
{
	static struct fixture x;
	x = (struct fixture){.self.pid = getpid(), .self.vpid = getpid()};
	session_init(&x.s);
	x.s.opt = &x.opt;
	x.d.s = &x.s;
	*state = &x;
	return 0;
}

static int teardown(void **state)
{
	session_release(&((struct fixture *)*state)->s);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(stream_is_one_message),
		TEST(stream_splits_before_files),
		TEST(packets_keep_their_bounds),
		TEST(large_packet),
		TEST(end_of_file_is_no_message),
		TEST(errors_stay),
		TEST(names_for_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
