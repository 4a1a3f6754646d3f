/* The list of sockets: answers taken apart, the kernel's own; socket options there and back. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "kernel/sock_diag.h"
#include "socket/inet.h"
#include "task/task.h"
#include "socket/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* --- parsing --- */

struct seen {
	unsigned n;
	size_t len;
	int result;
};

static int count(void *arg, const void *message, size_t len)
{
	struct seen *seen = arg;
	(void)message;
	seen->n++;
	seen->len = len;
	return seen->result;
}

struct buffer {
	char data[512] __attribute__((aligned(8)));
	size_t len;
};

static void put(struct buffer *b, int type, const void *payload, size_t len)
{
	struct nlmsghdr h = {
		.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len), .nlmsg_type = (uint16_t)type};
	memcpy(b->data + b->len, &h, sizeof(h));
	memcpy(b->data + b->len + NLMSG_HDRLEN, payload, len);
	b->len += NLMSG_ALIGN(h.nlmsg_len);
}

static void parse_walks_messages(void **state)
{
	(void)state;
	struct buffer b = {0};
	struct seen seen = {0};
	put(&b, SOCK_DIAG_BY_FAMILY, "0123456789", 10);
	put(&b, NLMSG_NOOP, "", 0);
	put(&b, SOCK_DIAG_BY_FAMILY, "0123", 4);
	assert_int_equal(sock_diag_parse(b.data, b.len, count, &seen), 1);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.len, 4);
	int ok = 0;
	put(&b, NLMSG_DONE, &ok, sizeof(ok));
	assert_int_equal(sock_diag_parse(b.data, b.len, count, &seen), 0);
	seen = (struct seen){.result = -EIO};
	assert_int_equal(sock_diag_parse(b.data, b.len, count, &seen), -EIO);
	assert_int_equal(seen.n, 1);
}

static void parse_finds_errors(void **state)
{
	(void)state;
	struct seen seen = {0};
	struct buffer b = {0}, c = {0}, e = {0};
	struct nlmsgerr err = {.error = -ENOENT};
	put(&b, NLMSG_ERROR, &err, sizeof(err));
	assert_int_equal(sock_diag_parse(b.data, b.len, count, &seen), -ENOENT);
	int in_done = -ENOENT; /* netlink_dump() */
	put(&c, NLMSG_DONE, &in_done, sizeof(in_done));
	assert_int_equal(sock_diag_parse(c.data, c.len, count, &seen), -ENOENT);
	put(&e, SOCK_DIAG_BY_FAMILY, "0123456789", 10);
	for (size_t len = 1; len < NLMSG_HDRLEN + 10; len++)
		assert_int_equal(sock_diag_parse(e.data, len, count, &seen), -EBADMSG);
	assert_int_equal(seen.n, 0);
}

static void attributes_stay_inside(void **state)
{
	(void)state;
	char m[64] = "head0123";
	struct nlattr a = {.nla_len = 5, .nla_type = 7}, b = {.nla_len = 8, .nla_type = 3};
	uint32_t value = 77;
	size_t n;
	memcpy(m + 8, &a, sizeof(a));
	m[12] = 9;
	memcpy(m + 16, &b, sizeof(b));
	memcpy(m + 20, &value, sizeof(value));
	assert_int_equal(sock_diag_u8(m, 24, 8, 7, 0), 9);
	assert_int_equal(sock_diag_u32(m, 24, 8, 3, 0), 77);
	assert_int_equal(sock_diag_u32(m, 24, 8, 7, 5), 5); /* too short */
	assert_null(sock_diag_attr(m, 24, 8, 1, &n));
	assert_null(sock_diag_attr(m, 23, 8, 3, &n)); /* cut off */
	a.nla_len = 3;
	memcpy(m + 8, &a, sizeof(a));
	assert_null(sock_diag_attr(m, 24, 8, 3, &n));
}

/* --- the kernel's list --- */

struct search {
	uint32_t ino, peer;
	bool found;
};

static int look(void *arg, const void *message, size_t len)
{
	struct search *search = arg;
	struct unix_diag_msg m;
	assert_true(len >= sizeof(m));
	memcpy(&m, message, sizeof(m));
	if (m.udiag_ino != search->ino)
		return 0;
	search->found = true;
	search->peer = sock_diag_u32(message, len, sizeof(m), UNIX_DIAG_PEER, 0);
	return 0;
}

static void lists_our_own(void **state)
{
	struct session *s = *state;
	int pair[2];
	struct stat st[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fstat(pair[0], &st[0]);
	fstat(pair[1], &st[1]);
	struct unix_diag_req req = {
		.sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_PEER};
	struct search search = {.ino = (uint32_t)st[0].st_ino};
	int r = sock_diag_list(s, &req, sizeof(req), look, &search);
	close(pair[0]);
	close(pair[1]);
	if (r == -ENOENT)
		skip(); /* no unix_diag here */
	assert_int_equal(r, 0);
	assert_true(search.found);
	assert_int_equal(search.peer, st[1].st_ino);
}

static void missing_module_is_no_failure(void **state)
{
	struct session *s = *state;
	struct inet_diag_req_v2 req = {.sdiag_family = AF_APPLETALK};
	struct seen seen = {0};
	assert_int_equal(sock_diag_list(s, &req, sizeof(req), count, &seen), -ENOENT);
	assert_int_equal(s->failure.err, 0);
}

static void names_of_images_are_bounded(void **state)
{
	(void)state;
	uint32_t words[5] = {1};
	struct sockaddr_storage name;
	InetSkEntry e = INET_SK_ENTRY__INIT;
	e.src_addr = words;
	e.family = AF_INET;
	for (e.n_src_addr = 0; e.n_src_addr <= 5; e.n_src_addr++)
		assert_int_equal(inet_name(&e, false, &name),
			e.n_src_addr && e.n_src_addr < 5 ? sizeof(struct sockaddr_in) : 0);
	e.family = AF_INET6;
	for (e.n_src_addr = 0; e.n_src_addr <= 5; e.n_src_addr++)
		assert_int_equal(inet_name(&e, false, &name),
			e.n_src_addr == 4 ? sizeof(struct sockaddr_in6) : 0);
}

/* --- options --- */

static int number(int fd, int option)
{
	return socket_int(fd, option, -1);
}

static void set_all(int fd)
{
	static const struct {
		int option, value;
	} options[] = {{SO_SNDBUF, 30000}, {SO_RCVBUF, 40001}, {SO_REUSEADDR, 1}, {SO_BROADCAST, 1},
		{SO_KEEPALIVE, 1}, {SO_PRIORITY, 5}, {SO_RCVLOWAT, 7}, {SO_PASSCRED, 1},
		{SO_OOBINLINE, 1}, {SO_DONTROUTE, 1}, {SO_PEEK_OFF, 3}, {SO_TIMESTAMP, 1}};
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, options[i].option, &options[i].value,
					 sizeof(int)),
			0);
	struct timeval t = {3, 500000};
	struct linger linger = {1, 9};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	struct sock_filter code[] = {
		{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, {BPF_RET | BPF_A, 0, 0, 0}};
	struct sock_fprog program = {2, code};
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static SkOptsEntry *dump(struct session *s, int fd, FermataFileEntry **ret_extra)
{
	struct file_dump d = {.s = s};
	struct file_view v = {
		.fd = fd, .family = socket_int(fd, SO_DOMAIN, -1), .from.number = fd};
	struct dumped_file f = {.id = 1};
	SkOptsEntry *e;
	assert_int_equal(sk_opts_dump(&d, &v, &f, &e), 0);
	*ret_extra = f.extra;
	return e;
}

static void options_there_and_back(void **state)
{
	struct session *s = *state;
	FermataFileEntry *extra, *again_extra;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	set_all(fd);
	SkOptsEntry *e = dump(s, fd, &extra);
	assert_int_equal(e->n_so_filter, 2);
	assert_int_equal(extra->n_socket_options, 2);
	struct file_set f = {.s = s};
	struct open_file o = {.id = 1, .extra = extra};
	static const int options[] = {SO_SNDBUF, SO_RCVBUF, SO_REUSEADDR, SO_BROADCAST,
		SO_KEEPALIVE, SO_PRIORITY, SO_RCVLOWAT, SO_PASSCRED, SO_OOBINLINE, SO_DONTROUTE,
		SO_PEEK_OFF, SO_TIMESTAMP};
	for (int round = 0; round < 3; round++) { /* nothing grows */
		int new = socket(AF_UNIX, SOCK_DGRAM, 0);
		assert_int_equal(sk_opts_check(&f, &o, e), 0);
		assert_int_equal(sk_opts_restore(&f, &o, e, new), 0);
		for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
			assert_int_equal(number(new, options[i]), number(fd, options[i]));
		SkOptsEntry *again = dump(s, new, &again_extra);
		assert_int_equal(again->so_rcv_tmo_sec, 3);
		assert_int_equal(again->so_rcv_tmo_usec, e->so_rcv_tmo_usec);
		assert_int_equal(again->so_linger, 9);
		assert_int_equal(again->so_buf_lock, e->so_buf_lock);
		assert_memory_equal(again->so_filter, e->so_filter, 16);
		assert_int_equal(again_extra->n_socket_options, 2);
		close(new);
	}
	close(fd);
}

static void unknown_device_is_refused(void **state)
{
	struct session *s = *state;
	SkOptsEntry e = SK_OPTS_ENTRY__INIT;
	struct tree tree = {0};
	struct file_set f = {.s = s, .tree = &tree};
	struct open_file o = {.id = 1};
	e.so_bound_dev = (char *)(uintptr_t) "nosuch0";
	assert_int_equal(sk_opts_check(&f, &o, &e), -ENODEV);
	assert_string_equal(
		s->failure.message, "file 1: the socket is bound to the interface nosuch0");
}

static int setup(void **state)
{
	static struct session s;
	session_init(&s);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	session_release(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_walks_messages),
		cmocka_unit_test(parse_finds_errors),
		cmocka_unit_test(attributes_stay_inside),
		cmocka_unit_test_setup_teardown(lists_our_own, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_module_is_no_failure, setup, teardown),
		cmocka_unit_test(names_of_images_are_bounded),
		cmocka_unit_test_setup_teardown(options_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_device_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
