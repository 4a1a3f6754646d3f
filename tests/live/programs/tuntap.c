/*
 * Tun and tap devices in the machine's own network: one that goes with its descriptor and has to be
 * made again with number, addresses, routes, neighbour and settings; a persistent one with two
 * queues, one switched off, headers, offloads and an owner; a descriptor without a device.
 * Packets pass both ways, and those that wait stay.
 * PROVES: F182
 */
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>

#include "inet.h"

enum { WAITING = 5, HEADER = 12 };

static int control;

static struct ifreq of(const char *name)
{
	struct ifreq r = {0};

	strcpy(r.ifr_name, name);
	return r;
}

static int open_tun(const char *name, int flags)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	struct ifreq r = of(name);

	if (fd < 0)
		skip("no /dev/net/tun");
	r.ifr_flags = flags;
	if (ioctl(fd, TUNSETIFF, &r))
		bad("TUNSETIFF %s", name);
	return fd;
}

static void put_address(struct sockaddr *ret, const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	a.sin_addr.s_addr = inet_addr(text);
	memcpy(ret, &a, sizeof(a));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	NEED(fd >= 0 && write(fd, text, strlen(text)) > 0);
	close(fd);
}

static void configure(const char *name)
{
	struct ifreq r = of(name);
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = (char *)name, .rt_metric = 8};

	put_address(&r.ifr_addr, "10.77.0.1");
	NEED(!ioctl(control, SIOCSIFADDR, &r));
	put_address(&r.ifr_netmask, "255.255.255.0");
	NEED(!ioctl(control, SIOCSIFNETMASK, &r));
	r.ifr_mtu = 1300;
	NEED(!ioctl(control, SIOCSIFMTU, &r));
	r.ifr_qlen = 77;
	NEED(!ioctl(control, SIOCSIFTXQLEN, &r));
	r.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP | IFF_POINTOPOINT;
	NEED(!ioctl(control, SIOCSIFFLAGS, &r));
	put_address(&route.rt_dst, "10.78.0.0");
	put_address(&route.rt_genmask, "255.255.0.0");
	NEED(!ioctl(control, SIOCADDRT, &route));
	write_text("/proc/sys/net/ipv4/conf/tun7/rp_filter", "2");
}

/* All that the kernel says of a device's setting, without counters. */
static void describe(char *text, size_t size)
{
	static char all[16384];
	char *line, *save;
	size_t n = 0;
	static const char *const files[] = {"/proc/net/route", "/proc/net/if_inet6"};

	for (int i = 0; i < 2; i++) {
		slurp(files[i], all, sizeof(all));
		for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			if (i == 1) /* flags change while an address is looked for */
				memmove(line + 38, line + 44, strlen(line + 44) + 1);
			if (strstr(line, "tun7") || strstr(line, "tap7"))
				n += snprintf(text + n, size - n, "%s\n", line);
		}
	}
	for (int i = 0; i < 2; i++) {
		struct ifreq r = of(i ? "tap7" : "tun7");

		NEED(!ioctl(control, SIOCGIFINDEX, &r));
		n += snprintf(text + n, size - n, "index %d", r.ifr_ifindex);
		NEED(!ioctl(control, SIOCGIFMTU, &r));
		n += snprintf(text + n, size - n, " mtu %d", r.ifr_mtu);
		NEED(!ioctl(control, SIOCGIFTXQLEN, &r));
		n += snprintf(text + n, size - n, " queue %d", r.ifr_qlen);
		NEED(!ioctl(control, SIOCGIFFLAGS, &r));
		n += snprintf(text + n, size - n, " flags %x", r.ifr_flags & ~IFF_RUNNING);
		NEED(!ioctl(control, SIOCGIFHWADDR, &r));
		n += snprintf(text + n, size - n, " address %02x%02x\n",
			(uint8_t)r.ifr_hwaddr.sa_data[0], (uint8_t)r.ifr_hwaddr.sa_data[5]);
	}
}

/* What the driver says of itself: owner, type, headers, queues. */
static size_t driver_info(int index, char *ret)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} ask = {{sizeof(ask), RTM_GETLINK, NLM_F_REQUEST, 1, 0}, {.ifi_index = index}};
	static char room[16384] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct nlmsghdr *h = (struct nlmsghdr *)room;

	NEED(send(fd, &ask, sizeof(ask), 0) == sizeof(ask) && recv(fd, room, sizeof(room), 0) > 0);
	close(fd);
	struct rtattr *a = IFLA_RTA(NLMSG_DATA(h));
	for (int left = IFLA_PAYLOAD(h); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_LINKINFO) {
			memcpy(ret, RTA_DATA(a), RTA_PAYLOAD(a));
			return RTA_PAYLOAD(a);
		}
	bad("no driver info");
}

static int offload(const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq r = of(name);

	r.ifr_data = (char *)&value;
	NEED(!ioctl(control, SIOCETHTOOL, &r));
	return value.data;
}

static void send_out(int number)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	put_address((struct sockaddr *)&to, "10.78.1.2");
	to.sin_port = htons(9);
	NEED(sendto(fd, &number, sizeof(number), 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	close(fd);
}

/* The next of our packets; the kernel's own come between. */
static void need_out(int fd, int number)
{
	unsigned char packet[2048];
	ssize_t n;

	do {
		n = read(fd, packet, sizeof(packet));
		NEED(n > 0);
	} while (packet[0] != 0x45 || packet[9] != IPPROTO_UDP);
	SAME(n, 20 + 8 + sizeof(number));
	NEED(!memcmp(packet + 16, "\x0a\x4e\x01\x02", 4));
	NEED(!memcmp(packet + 28, &number, sizeof(number)));
}

static void send_in(int fd, int port)
{
	unsigned char packet[29] = {0x45, 0, 0, 29, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0, 10, 78, 1, 2,
		10, 77, 0, 1, 0, 99, port >> 8, port, 0, 9};
	unsigned sum = 0;

	packet[28] = 'i';
	for (int i = 0; i < 20; i += 2)
		sum += packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	packet[10] = ~sum >> 8;
	packet[11] = ~sum;
	SAME(write(fd, packet, sizeof(packet)), sizeof(packet));
}

static int get(int fd, unsigned long request)
{
	int value = -1;

	NEED(!ioctl(fd, request, &value));
	return value;
}

int main(int argc, char **argv)
{
	char before[2048], after[2048], text[8], info[2][512];
	struct ifreq r;
	const int header = HEADER;
	const int tap_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;

	setup(argc, argv);
	control = socket(AF_INET, SOCK_DGRAM, 0);
	int tun = open_tun("tun7", IFF_TUN | IFF_NO_PI);
	int twin = dup(tun);
	configure("tun7");
	if (argc > 2 && !strcmp(argv[2], "filter")) {
		static struct sock_filter all = {BPF_RET | BPF_K, 0, 0, 0xffff};
		int fd = open_tun("tap8", IFF_TAP);

		NEED(!ioctl(fd, TUNATTACHFILTER, &(struct sock_fprog){1, &all}));
	}
	int tap = open_tun("tap7", tap_flags), queue = open_tun("tap7", tap_flags);
	int none = open("/dev/net/tun", O_RDWR);
	NEED(!ioctl(tap, TUNSETPERSIST, 1) && !ioctl(tap, TUNSETOWNER, 1234L));
	NEED(!ioctl(tap, TUNSETVNETHDRSZ, &header));
	NEED(!ioctl(tap, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)));
	r = of("tap7");
	r.ifr_flags = IFF_DETACH_QUEUE;
	NEED(!ioctl(queue, TUNSETQUEUE, &r));
	int in = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in name;
	put_address((struct sockaddr *)&name, "10.77.0.1");
	NEED(!bind(in, (struct sockaddr *)&name, sizeof(name)));
	send_out(100);
	need_out(tun, 100);
	for (int i = 0; i < WAITING; i++)
		send_out(i);
	describe(before, sizeof(before));

	size_t info_len = driver_info(if_nametoindex("tap7"), info[0]);
	SAME(offload("tap7", ETHTOOL_GTSO), 1);
	SAME(offload("tun7", ETHTOOL_GTSO), 0);

	park();
	describe(after, sizeof(after));
	if (strcmp(before, after))
		bad("was\n%sis\n%s", before, after);
	for (int i = 0; i < WAITING; i++)
		need_out(twin, i);
	send_out(7);
	need_out(tun, 7);
	send_in(tun, port_of(in));
	struct pollfd p = {.fd = in, .events = POLLIN};
	NEED(poll(&p, 1, 5000) == 1 && recv(in, text, sizeof(text), 0) == 1 && text[0] == 'i');
	slurp("/proc/sys/net/ipv4/conf/tun7/rp_filter", text, sizeof(text));
	SAME(text[0], '2');
	SAME(fcntl(tun, F_GETFL) & O_NONBLOCK, O_NONBLOCK);

	SAME(get(tap, TUNGETVNETHDRSZ), HEADER);
	NEED(!ioctl(tap, TUNGETIFF, &r));
	NEED(r.ifr_flags & IFF_PERSIST && r.ifr_flags & IFF_VNET_HDR &&
		r.ifr_flags & IFF_MULTI_QUEUE && !(r.ifr_flags & IFF_DETACH_QUEUE));
	NEED(!ioctl(queue, TUNGETIFF, &r) && r.ifr_flags & IFF_DETACH_QUEUE);
	SAME(driver_info(if_nametoindex("tap7"), info[1]), info_len);
	NEED(!memcmp(info[0], info[1], info_len));
	SAME(offload("tap7", ETHTOOL_GTXCSUM), 1);
	SAME(offload("tap7", ETHTOOL_GTSO), 1);
	SAME(offload("tun7", ETHTOOL_GTSO), 0);
	NEED(ioctl(none, TUNGETIFF, &r) == -1 && errno == EBADFD);
	NEED(!ioctl(tap, TUNSETPERSIST, 0));
	close(tap);
	close(queue);
	NEED(!if_nametoindex("tap7"));
	close(tun);
	NEED(if_nametoindex("tun7"));
	close(twin);
	NEED(!if_nametoindex("tun7"));
	ok();
}
