/*
 * One inet socket of the kind that the argument names, which a dump refuses, or not.
 * VARIANTS: scenario
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include "inet.h"

static struct pair pair;
static int one;

static void make_pair(void)
{
	pair = connect_pair(listen_at(0, 4711, 4));
}

static void pending(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	one = listen_at(0, 4711, 4);
	pair.client = socket(AF_INET, SOCK_STREAM, 0);
	NEED(!connect(pair.client, (struct sockaddr *)&name, len));
	close(pair.client); /* it waits to be accepted all the same */
}

static void listener(void)
{
	one = listen_at(0, 4711, 4);
}

static void udp(void)
{
	one = bound_socket(0, SOCK_DGRAM, 0, 4711, false);
}

static void queued(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	udp();
	NEED(sendto(one, "", 0, 0, (struct sockaddr *)&name, len) == 0);
}

static void timed(void)
{
	queued();
	set_opt(one, SOL_SOCKET, SO_TIMESTAMP, 1);
}

static void raw(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 0, &name);

	one = socket(AF_INET, SOCK_RAW, 253);
	NEED(one >= 0 && sendto(one, "packet", 6, 0, (struct sockaddr *)&name, len) == 6);
}

static void corked(void)
{
	udp();
	set_opt(one, IPPROTO_UDP, UDP_CORK, 1);
}

static void more(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	udp();
	NEED(sendto(one, "some", 4, MSG_MORE, (struct sockaddr *)&name, len) == 4);
}

static void urgent(void)
{
	struct pollfd p;

	make_pair();
	NEED(send(pair.client, "!", 1, MSG_OOB) == 1);
	p = (struct pollfd){.fd = pair.server, .events = POLLPRI};
	NEED(poll(&p, 1, 5000) == 1);
}

/* Connected: the part of it that is TCP has its inode in the list of TCP sockets. */
static void mptcp(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4712, &name);
	int listener = socket(AF_INET, SOCK_STREAM, 262);

	if (listener < 0)
		skip("the kernel has no MPTCP");
	make_pair();
	NEED(!bind(listener, (struct sockaddr *)&name, len) && !listen(listener, 4));
	one = socket(AF_INET, SOCK_STREAM, 262);
	NEED(!connect(one, (struct sockaddr *)&name, len));
	NEED(accept(listener, NULL, NULL) >= 0);
}

/* A key of a peer that is nobody. */
static void sign(int fd)
{
	struct tcp_md5sig key = {.tcpm_keylen = 3, .tcpm_key = "abc"};
	struct sockaddr_in *in = (struct sockaddr_in *)&key.tcpm_addr;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr("192.0.2.7");
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)))
		skip("the kernel has no TCP-MD5");
}

static void signing(void)
{
	make_pair();
	sign(pair.server);
}

static void signing_listener(void)
{
	one = listen_at(0, 4711, 4);
	sign(one);
}

static void failed(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);
	struct pollfd p;

	one = socket(AF_INET, SOCK_DGRAM, 0);
	NEED(!connect(one, (struct sockaddr *)&name, len));
	NEED(send(one, "x", 1, 0) == 1);
	p = (struct pollfd){.fd = one};
	NEED(poll(&p, 1, 5000) == 1);
}

static void stamped(void)
{
	udp();
	set_opt(one, SOL_SOCKET, SO_TIMESTAMPING,
		SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_TX_SOFTWARE);
}

static void zerocopy(void)
{
	udp();
	set_opt(one, SOL_SOCKET, SO_ZEROCOPY, 1);
}

static void tunnel(void)
{
	udp();
	set_opt(one, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_L2TPINUDP);
}

/* An interface that is up and has an address; stays. */
static int make_interface(const char *name, const char *address)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct sockaddr_in *in = (struct sockaddr_in *)&req.ifr_addr;
	int fd = open("/dev/net/tun", O_RDWR), index = 0;

	snprintf(req.ifr_name, IFNAMSIZ, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) || ioctl(fd, TUNSETPERSIST, 1))
		skip("no tun devices here");
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	NEED(!ioctl(fd, SIOCGIFINDEX, &req));
	index = req.ifr_ifindex;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	NEED(!ioctl(fd, SIOCSIFADDR, &req));
	NEED(!ioctl(fd, SIOCGIFFLAGS, &req));
	req.ifr_flags |= IFF_UP;
	NEED(!ioctl(fd, SIOCSIFFLAGS, &req));
	close(fd);
	return index;
}

/* Its interface for groups is one of two, or the only one there is beside loopback. */
static void by_number(void)
{
	struct ip_mreqn req = {.imr_ifindex = make_interface("live0", "10.9.9.1")};

	make_interface("live1", "10.9.8.1");
	udp();
	NEED(!setsockopt(one, IPPROTO_IP, IP_MULTICAST_IF, &req, sizeof(req)));
}

static void only_number(void)
{
	struct ip_mreqn req = {.imr_ifindex = make_interface("live0", "10.9.9.1")};

	one = socket(AF_INET, SOCK_RAW, 253);
	NEED(one >= 0 && !setsockopt(one, IPPROTO_IP, IP_MULTICAST_IF, &req, sizeof(req)));
}

/* From 127.0.0.1 it must not go out there. */
static void need_only_number(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 0, &name);
	char room[CMSG_SPACE(sizeof(struct in_pktinfo))] = "";
	struct iovec nothing = {"", 0};
	struct msghdr m = {&name, len, &nothing, 1, room, sizeof(room), 0};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK)};

	((struct sockaddr_in *)&name)->sin_addr.s_addr = inet_addr("239.9.9.9");
	c->cmsg_len = CMSG_LEN(sizeof(from));
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	memcpy(CMSG_DATA(c), &from, sizeof(from));
	NEED(sendmsg(one, &m, 0) < 0 && errno == EINVAL);
}

static void source(void)
{
	struct in6_pktinfo info = {.ipi6_ifindex = make_interface("live0", "10.9.9.1")};
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};

	one = socket(AF_INET6, SOCK_DGRAM, 0);
	NEED(!bind(one, (struct sockaddr *)&any, sizeof(any)));
	NEED(!setsockopt(one, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info)));
}

static void alert(void)
{
	one = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	set_opt(one, IPPROTO_IPV6, IPV6_ROUTER_ALERT, 5);
}

static void routing(void)
{
	int yes = 1;

	one = socket(AF_INET, SOCK_RAW, IPPROTO_IGMP);
	if (one < 0 || setsockopt(one, IPPROTO_IP, 200 /* MRT_INIT */, &yes, sizeof(yes)))
		skip("no multicast routing here");
}

static void saved_syn(void)
{
	int listener = listen_at(0, 4711, 4);

	set_opt(listener, IPPROTO_TCP, 27 /* TCP_SAVE_SYN */, 1);
	pair = connect_pair(listener);
}

/* An eBPF program that passes all packets; it stays with the socket. */
static void program(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)pass,
		.insn_cnt = 2,
		.license = (uintptr_t) "GPL"};
	int prog = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (prog < 0)
		skip("no BPF programs here");
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);
	one = socket(AF_INET, SOCK_DGRAM, 0);
	set_opt(one, SOL_SOCKET, SO_REUSEPORT, 1);
	NEED(!bind(one, (struct sockaddr *)&name, len));
	NEED(!setsockopt(one, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog)));
	close(prog);
}

/* A classic program that chooses among sockets of its port: always the first. */
static void chosen(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {1, code};
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	one = socket(AF_INET, SOCK_DGRAM, 0);
	set_opt(one, SOL_SOCKET, SO_REUSEPORT, 1);
	NEED(!bind(one, (struct sockaddr *)&name, len));
	NEED(!setsockopt(one, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)));
}

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {
	{"stamped", stamped},
	{"zerocopy", zerocopy},
	{"tunnel", tunnel},
	{"by_number", by_number},
	{"only_number", only_number},
	{"source", source},
	{"alert", alert},
	{"routing", routing},
	{"saved_syn", saved_syn},
	{"program", program},
	{"chosen", chosen},
	{"pair", make_pair},
	{"pending", pending},
	{"listener", listener},
	{"udp", udp},
	{"queued", queued},
	{"timed", timed},
	{"raw", raw},
	{"corked", corked},
	{"more", more},
	{"urgent", urgent},
	{"mptcp", mptcp},
	{"signing", signing},
	{"signing_listener", signing_listener},
	{"failed", failed},
};

int main(int argc, char **argv)
{
	char c;

	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	park();
	if (!strcmp(argv[2], "timed") || !strcmp(argv[2], "raw"))
		need_empty(one); /* with --skip-in-flight */
	if (!strcmp(argv[2], "only_number"))
		need_only_number();
	if (!strcmp(argv[2], "pair") && argc > 3 && !strcmp(argv[3], "closed")) {
		SAME(read(pair.server, &c, 1), 0);
		NEED(send(pair.client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	} else if (pair.server) {
		put_stream(pair.server, 0, 100, 1);
		need_stream(pair.client, 0, 100, 1);
	}
	ok();
}
