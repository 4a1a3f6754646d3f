/* Names and remedies for open files that no type takes, as blockers. */
#include "file/unsupported.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "file/tty.h"

#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif
enum { MQUEUE_MAGIC = 0x19800202 };

/* anon_inode:NAME, as far as given, and what it is called elsewhere. */
static const struct {
	const char *link, *text, *remedy;
} anonymous[] = {
	{"anon_inode:[perf_event]", "a performance counter (perf_event)",
		"stop profiling, or have the program close it"},
	{"anon_inode:[userfaultfd]", "a userfaultfd", "have the program close it"},
	{"anon_inode:bpf-prog", "a BPF program", NULL},
	{"anon_inode:bpf-link", "a BPF link", NULL},
	{"anon_inode:bpf_link", "a BPF link", NULL},
	{"anon_inode:bpf_iter", "a BPF iterator", NULL},
	{"anon_inode:btf", "BPF type information", NULL},
	{"anon_inode:[landlock-ruleset]", "a landlock ruleset",
		"have the program close it once it is enforced"},
	{"anon_inode:seccomp notify", "a seccomp listener",
		"dump what it supervises without the supervisor"},
	{"anon_inode:[fscontext]", "a filesystem context (fsopen)",
		"dump again when it is mounted"},
	{"anon_inode:kvm-vm", "a virtual machine (kvm)", "let the hypervisor save its guest"},
	{"anon_inode:kvm-vcpu", "a virtual CPU (kvm)", "let the hypervisor save its guest"},
	{"anon_inode:[secretmem]", "secret memory (memfd_secret)", NULL},
	{"anon_inode:sync_file", "a GPU fence (sync_file)", NULL},
	{"anon_inode:[vfio", "a device given to the program (vfio)", NULL},
};

static const struct {
	int family;
	const char *name;
} socket_families[] = {
	{AF_ALG, "a kernel crypto (AF_ALG)"},
	{AF_VSOCK, "a vsock"},
	{AF_XDP, "an XDP"},
	{AF_BLUETOOTH, "a bluetooth"},
	{AF_CAN, "a CAN"},
	{AF_TIPC, "a TIPC"},
	{AF_KEY, "an IPsec key"},
	{AF_SMC, "an SMC"},
	{AF_KCM, "a KCM"},
	{AF_RDS, "an RDS"},
	{AF_PPPOX, "a PPPoX"},
	{AF_QIPCRTR, "a Qualcomm IPC router"},
};

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

const char *unsupported_kind(size_t i, const char **ret_remedy)
{
	*ret_remedy = NULL;
	if (i < N_ELEMENTS(anonymous)) {
		*ret_remedy = anonymous[i].remedy;
		return anonymous[i].text;
	}
	return NULL;
}

const char *unsupported_family(size_t i)
{
	return i < N_ELEMENTS(socket_families) ? socket_families[i].name : NULL;
}

static void block_socket(struct file_dump *d, const struct file_view *v)
{
	int family = 0;
	socklen_t len = sizeof(family);
	const char *name = NULL;
	if (getsockopt(v->fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0)
		for (size_t i = 0; i < N_ELEMENTS(socket_families); i++)
			if (socket_families[i].family == family)
				name = socket_families[i].name;
	if (name)
		view_block(d, v, NULL, "%s socket (%s), which is not supported", name, v->link);
	else
		view_block(d, v, NULL, "a socket of family %d (%s), which is not supported", family,
			v->link);
}

static void block_device(struct file_dump *d, const struct file_view *v)
{
	struct tty_kind kind = tty_kind_of(v->st.stx_rdev_major, v->st.stx_rdev_minor);
	unsigned long rdev = makedev(v->st.stx_rdev_major, v->st.stx_rdev_minor);
	if (S_ISCHR(v->st.stx_mode) && kind.name)
		view_block(d, v,
			arena_printf(&d->s->arena, "use --external tty[%lx:%lx]", rdev,
				(unsigned long)v->dev),
			"%s (%s), which cannot be dumped", v->link, kind.name);
	else
		view_block(d, v, NULL, "the %s device %s (%u:%u), whose state cannot be saved",
			S_ISCHR(v->st.stx_mode) ? "character" : "block", v->link,
			v->st.stx_rdev_major, v->st.stx_rdev_minor);
}

void unsupported_block(struct file_dump *d, const struct file_view *v)
{
	if (S_ISSOCK(v->st.stx_mode)) {
		block_socket(d, v);
		return;
	}
	if (S_ISCHR(v->st.stx_mode) || S_ISBLK(v->st.stx_mode)) {
		block_device(d, v);
		return;
	}
	for (size_t i = 0; i < N_ELEMENTS(anonymous); i++)
		if (strncmp(v->link, anonymous[i].link, strlen(anonymous[i].link)) == 0) {
			view_block(d, v, anonymous[i].remedy, "%s, which is not supported",
				anonymous[i].text);
			return;
		}
	if (v->fs_type == NSFS_MAGIC)
		view_block(d, v, NULL, "a namespace (%s), which is not supported yet", v->link);
	else
		view_block(d, v, NULL, "%s: no such file can be dumped", v->link);
}

/* Descriptors, not directories or executables. */
static const char *external_remedy(struct file_dump *d, const struct file_view *v)
{
	const char *key = file_external_key(d, v);
	return key ? arena_printf(&d->s->arena, "use --external %s", key) : NULL;
}

void unsupported_mount_block(struct file_dump *d, const struct file_view *v)
{
	if (v->fs_type == MQUEUE_MAGIC)
		view_block(d, v, "have the program close it",
			"the POSIX message queue %s, which is not supported", v->link);
	else if (v->fs_type == SECRETMEM_MAGIC)
		view_block(d, v, NULL, "secret memory (memfd_secret), which nobody else can read");
	else
		view_block(d, v, external_remedy(d, v),
			"%s is on a mount that the tree does not see", v->link);
}
