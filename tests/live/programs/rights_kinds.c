/*
 * Files of further kinds that nobody has but the queue of a unix socket (SCM_RIGHTS): each comes
 * out as it was and does what it did. Also filters on unix and netlink sockets, and what
 * SO_PEERCRED tells of a peer that was another user for the moment, or has ended.
 * PROVES: F151 F174 F140
 */
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "inet.h"
#include "rights.h"

enum { PORT = 4712, PORT_ID = 0x5551, USER = 12345 };

static int queue[2], filtered[2], netlink, of_user[2], of_dead[2];
static pid_t child, dead;

static void lose(const char *text, int fd)
{
	NEED(fd >= 0);
	send_file(queue[0], text, fd);
	close(fd);
}

static int found(const char *text)
{
	int fds[MAX];

	SAME(take(queue[1], text, fds, NULL), 1);
	return fds[0];
}

static void wait_to_die(void *unused UNUSED)
{
	child_park();
	for (;;)
		pause();
}

static void queue_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	lose("signalfd", signalfd(-1, &set, SFD_NONBLOCK));
}

static void check_signalfd(void)
{
	struct signalfd_siginfo info;
	int fd = found("signalfd");

	NEED(read(fd, &info, sizeof(info)) == -1 && errno == EAGAIN);
	raise(SIGUSR1);
	SAME(read(fd, &info, sizeof(info)), sizeof(info));
	SAME(info.ssi_signo, SIGUSR1);
}

static void queue_inotify(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	NEED(!mkdir(in_dir("watched"), 0755));
	SAME(inotify_add_watch(fd, in_dir("watched"), IN_CREATE), 1);
	lose("inotify", fd);
}

static void check_inotify(void)
{
	char event[512];
	int fd = found("inotify");

	NEED(read(fd, event, sizeof(event)) == -1 && errno == EAGAIN);
	NEED(!mkdir(in_dir("watched/new"), 0755));
	NEED(read(fd, event, sizeof(event)) > 0);
	SAME(((struct inotify_event *)event)->wd, 1);
}

static void queue_pidfd(void)
{
	child = spawn(wait_to_die, NULL);
	await_child(child);
	lose("pidfd", (int)syscall(SYS_pidfd_open, child, 0));
}

static void check_pidfd(void)
{
	int status, fd = found("pidfd");

	NEED(!syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
	SAME(waitpid(child, &status, 0), child);
	NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void queue_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = PORT_ID};

	NEED(!bind(fd, (struct sockaddr *)&name, sizeof(name)));
	lose("netlink", fd);
}

static void check_netlink(void)
{
	struct sockaddr_nl name;
	socklen_t len = sizeof(name);

	NEED(!getsockname(found("netlink"), (struct sockaddr *)&name, &len));
	SAME(name.nl_pid, PORT_ID);
}

static void queue_packet(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0);

	set_opt(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	lose("packet", fd);
}

static void check_packet(void)
{
	int fd = found("packet");

	SAME(get_opt(fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	SAME(get_opt(fd, SOL_PACKET, PACKET_AUXDATA), 1);
}

static void queue_udp(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, PORT, &name);
	int fd = bound_socket(0, SOCK_DGRAM, 0, PORT, false);

	SAME(sendto(fd, "waits", 5, 0, (struct sockaddr *)&name, len), 5);
	lose("udp", fd);
}

static void check_udp(void)
{
	char data[8];
	int fd = found("udp");

	SAME(port_of(fd), PORT);
	SAME(recv(fd, data, sizeof(data), MSG_DONTWAIT), 5);
	NEED(!memcmp(data, "waits", 5));
}

static void queue_paths(void)
{
	NEED(!mkfifo(in_dir("fifo"), 0600));
	int fd = open(in_dir("fifo"), O_RDWR);
	NEED(write(fd, "abc", 3) == 3);
	lose("fifo", fd);
	lose("path", open(dir, O_PATH | O_DIRECTORY));
}

static void check_paths(void)
{
	char data[8];
	struct stat a, b;
	int fd = found("fifo");

	SAME(read(fd, data, sizeof(data)), 3);
	NEED(!memcmp(data, "abc", 3));
	fd = found("path");
	SAME(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
	NEED(!fstat(fd, &a) && !stat(dir, &b) && a.st_ino == b.st_ino);
}

/* What passes is cut to three bytes. */
static void make_filters(void)
{
	struct sock_filter cut = BPF_STMT(BPF_RET | BPF_K, 3);
	struct sock_fprog program = {1, &cut};

	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, filtered));
	NEED(!setsockopt(filtered[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	NEED(!setsockopt(netlink, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

static void check_filters(void)
{
	char data[16];
	struct sock_filter code[8] = {0};
	socklen_t n = 8;

	SAME(write(filtered[0], "0123456789", 10), 10);
	SAME(read(filtered[1], data, sizeof(data)), 3);
	SAME(write(filtered[1], "0123456789", 10), 10);
	SAME(read(filtered[0], data, sizeof(data)), 10);
	NEED(!getsockopt(netlink, SOL_SOCKET, SO_GET_FILTER, code, &n));
	SAME(n, 1);
	SAME(code[0].k, 3);
}

static void hand_over(void *unused UNUSED)
{
	int pair[2];

	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_files(queue[0], "pair", pair, 2);
}

static void make_peers(void)
{
	int fds[MAX];

	NEED(!seteuid(USER) && !socketpair(AF_UNIX, SOCK_STREAM, 0, of_user) && !seteuid(0));
	dead = spawn(hand_over, NULL);
	need_exit(dead, 0);
	SAME(take(queue[1], "pair", fds, NULL), 2);
	of_dead[0] = fds[0];
	of_dead[1] = fds[1];
}

static void need_peer(int fd, pid_t pid, uid_t uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	NEED(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	SAME(peer.uid, uid);
	SAME(peer.gid, 0);
	SAME(peer.pid, pid);
}

static void check_peers(void)
{
	for (int i = 0; i < 2; i++) {
		need_peer(of_user[i], getpid(), USER);
		need_peer(of_dead[i], dead, 0);
	}
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, queue));
	make_peers();
	check_peers();
	make_filters();
	queue_signalfd();
	queue_inotify();
	queue_pidfd();
	queue_netlink();
	queue_packet();
	queue_udp();
	queue_paths();
	park();
	check_peers();
	check_filters();
	check_signalfd();
	check_inotify();
	check_pidfd();
	check_netlink();
	check_packet();
	check_udp();
	check_paths();
	ok();
}
