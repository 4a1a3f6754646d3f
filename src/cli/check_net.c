/* Probes of socket options and tun devices. */
#include "cli/check_probes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif
#ifndef TCP_REPAIR_WINDOW
#define TCP_REPAIR_WINDOW 29
#endif
#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

static int open_socket(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0);
}

int probe_peek_off(void)
{
	int offset = 0;
	_cleanup_close_ int fd = open_socket(AF_UNIX, SOCK_STREAM);
	return result(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
}

static int repair(int fd, int on)
{
	return result(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
}

int probe_tcp_repair(void)
{
	_cleanup_close_ int fd = open_socket(AF_INET, SOCK_STREAM);
	int err = fd < 0 ? -errno : repair(fd, 1);
	return err == -EPERM && geteuid() ? 0 : err; /* not needed by --unprivileged */
}

/* Two ends of a loopback connection. */
static int connect_pair(int *ret_client, int *ret_server)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	_cleanup_close_ int listener = open_socket(AF_INET, SOCK_STREAM);
	_cleanup_close_ int client = open_socket(AF_INET, SOCK_STREAM);
	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&addr, len) ||
		listen(listener, 1) || getsockname(listener, (struct sockaddr *)&addr, &len) ||
		connect(client, (struct sockaddr *)&addr, len))
		return -errno;
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0)
		return -errno;
	*ret_client = take_fd(&client);
	*ret_server = server;
	return 0;
}

int probe_tcp_half_closed(void)
{
	_cleanup_close_ int client = -1, server = -1;
	int err = connect_pair(&client, &server);
	if (err)
		return err;
	if (shutdown(client, SHUT_WR))
		return -errno;
	err = repair(client, 1);
	if (!err)
		repair(client, 0);
	return err;
}

int probe_tcp_window(void)
{
	struct {
		unsigned int snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup;
	} window;
	socklen_t len = sizeof(window);
	_cleanup_close_ int client = -1, server = -1;
	int err = connect_pair(&client, &server);
	err = err ? err : repair(client, 1);
	if (err)
		return err;
	err = result(getsockopt(client, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &len));
	repair(client, 0);
	return err;
}

int probe_get_filter(void)
{
	char name[IFNAMSIZ];
	socklen_t none = 0, len = sizeof(name);
	_cleanup_close_ int fd = open_socket(AF_INET, SOCK_DGRAM);
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &none) < 0)
		return -errno;
	return result(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
}

static int read_option(int family, int level, int option)
{
	int value;
	socklen_t len = sizeof(value);
	_cleanup_close_ int fd = open_socket(family, SOCK_STREAM);
	return result(getsockopt(fd, level, option, &value, &len));
}

int probe_buf_lock(void)
{
	return read_option(AF_INET, SOL_SOCKET, SO_BUF_LOCK);
}

int probe_ipv6_freebind(void)
{
	return read_option(AF_INET6, IPPROTO_IPV6, IPV6_FREEBIND);
}

int probe_sk_ns(void)
{
	_cleanup_close_ int fd = open_socket(AF_UNIX, SOCK_STREAM);
	_cleanup_close_ int ns = ioctl(fd, SIOCGSKNS);
	return result(ns);
}

/* An unbound socket has no file: the kernel that knows the request says ENOENT. */
int probe_sk_unix_file(void)
{
	_cleanup_close_ int fd = open_socket(AF_UNIX, SOCK_STREAM);
	_cleanup_close_ int file = ioctl(fd, SIOCUNIXFILE);
	return file >= 0 || errno == ENOENT ? 0 : -errno;
}

/* Nothing is asked of the kernel beyond setns(), which this tool could not start without. */
int probe_external_net_ns(void)
{
	return result(access("/proc/self/ns/net", F_OK));
}

static int create_tun(int *ret_fd)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || unshare(CLONE_NEWNET) || ioctl(fd, TUNSETIFF, &req) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int read_tun(void)
{
	struct ifreq req = {0};
	_cleanup_close_ int fd = -1;
	int err = create_tun(&fd);
	return err ? err : result(ioctl(fd, TUNGETIFF, &req));
}

static int read_tun_ns(void)
{
	_cleanup_close_ int fd = -1;
	int err = create_tun(&fd);
	return err ? err : result(ioctl(fd, TUNGETDEVNETNS));
}

int probe_tun(void)
{
	return in_child(read_tun);
}

int probe_tun_ns(void)
{
	return in_child(read_tun_ns);
}

int probe_tun_or_no_device(void)
{
	int err = probe_tun();
	return err == -ENOENT || err == -ENODEV || err == -ENXIO ? 0 : err;
}
