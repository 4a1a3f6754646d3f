/*
 * A plugin with every hook: it writes each call to $SAMPLE_LOG, and really takes
 *   connections to a unix socket outside  (connected again by the peer's name)
 *   /dev/cpu_dma_latency                  (a character device with state; its numbers from the system)
 *   perf events, and mappings of them     (the one at SUBSTITUTED becomes memory of our own)
 * $SAMPLE_REFUSES names a hook that shall fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "criu-plugin.h"

#ifndef NAME
#define NAME "sample"
#endif

#define SUBSTITUTED 0x20000000ull

static const char latency[] = "/dev/cpu_dma_latency";

/* -EPERM if this hook shall fail, else 0. */
static int __attribute__((format(printf, 2, 3))) called(const char *hook, const char *format, ...)
{
	const char *path = getenv("SAMPLE_LOG"), *refused = getenv("SAMPLE_REFUSES");
	char text[200];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	FILE *f = fopen(path, "a");
	fprintf(f, "%s %s %s\n", NAME, hook, text);
	fclose(f);
	print_on_level(3, "sample: %s %s\n", hook, text);
	return refused && !strcmp(refused, hook) ? -EPERM : 0;
}

static int image(const char *kind, int id, int flags)
{
	char name[64];
	snprintf(name, sizeof(name), "sample-%s-%d.img", kind, id);
	return openat(criu_get_image_dir(), name, flags | O_CLOEXEC, 0600);
}

static int sample_init(int stage)
{
	if (stage == CR_PLUGIN_STAGE__DUMP)
		add_inventory_plugin(NAME);
	else if (!check_and_remove_inventory_plugin(NAME, strlen(NAME)))
		return called("init", "%d not wanted", stage);
	return called("init", "%d", stage);
}

static void sample_exit(int stage, int ret)
{
	called("exit", "%d %d", stage, ret);
}

static int dump_unix_sk(int fd, int id)
{
	struct sockaddr_un peer = {0};
	socklen_t len = sizeof(peer);
	int r = called("DUMP_UNIX_SK", "%d", id);
	if (r < 0 || getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || peer.sun_path[0] != '/')
		return r < 0 ? r : -ENOTSUP;
	int out = image("unix", id, O_CREAT | O_WRONLY);
	r = write(out, &peer, sizeof(peer)) == sizeof(peer) ? 0 : -EIO;
	close(out);
	return r;
}

static int restore_unix_sk(int id)
{
	struct sockaddr_un peer;
	int r = called("RESTORE_UNIX_SK", "%d", id), in = image("unix", id, O_RDONLY);
	if (r < 0 || in < 0)
		return r < 0 ? r : -ENOTSUP;
	r = read(in, &peer, sizeof(peer)) == sizeof(peer) ? 0 : -EIO;
	close(in);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (r < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		return -errno;
	return write(fd, "again", 5) == 5 ? fd : -EIO;
}

static int new_event(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.disabled = 1};
	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static int dump_ext_file(int fd, int id)
{
	struct stat st, device;
	uint64_t event;
	int r = called("DUMP_EXT_FILE", "%d", id), value = -1;
	bool is_event = ioctl(fd, PERF_EVENT_IOC_ID, &event) == 0;
	if (r < 0)
		return r;
	if (!is_event && (fstat(fd, &st) < 0 || stat(latency, &device) < 0 ||
				 !S_ISCHR(st.st_mode) || st.st_rdev != device.st_rdev))
		return -ENOTSUP;
	if (!is_event && pread(fd, &value, sizeof(value), 0) != sizeof(value))
		return -errno;
	int out = image("file", id, O_CREAT | O_WRONLY);
	r = write(out, &value, sizeof(value)) == sizeof(value) ? 1 : -EIO; /* any but negative */
	close(out);
	return r;
}

static int n_asked;

static int restore_ext_file(int id, bool *retry)
{
	int value, in = image("file", id, O_RDONLY);
	int r = called("RESTORE_EXT_FILE", "%d", id);
	*retry = r >= 0 && n_asked++ < 2;
	if (*retry)
		return -12345; /* is ignored */
	if (r < 0 || in < 0)
		return r < 0 ? r : -ENOTSUP;
	r = read(in, &value, sizeof(value)) == sizeof(value) ? 0 : -EIO;
	close(in);
	if (r < 0 || value == -1)
		return r < 0 ? r : new_event();
	int fd = open(latency, O_RDWR);
	return fd < 0 || write(fd, &value, sizeof(value)) != sizeof(value) ? -errno : fd;
}

static int handle_device_vma(int fd, const struct stat *st)
{
	int r = called("HANDLE_DEVICE_VMA", "%d %o", fcntl(fd, F_GETFL) & O_PATH ? 1 : 0, st->st_mode);
	return r < 0 ? r : S_ISREG(st->st_mode) ? -ENOTSUP : 0;
}

static int update_vma_map(const char *path, const uint64_t addr, const uint64_t old_pgoff,
	uint64_t *new_pgoff, int *plugin_fd)
{
	int r = called("UPDATE_VMA_MAP", "%s %#llx %llu", path, (unsigned long long)addr,
		(unsigned long long)old_pgoff);
	if (r < 0)
		return r;
	if (addr != SUBSTITUTED) {
		*plugin_fd = new_event();
		return *plugin_fd < 0 ? -errno : 0;
	}
	*plugin_fd = memfd_create("sample", 0);
	if (pwrite(*plugin_fd, "wrong", 6, 0) != 6 || pwrite(*plugin_fd, "right", 6, 4096) != 6 ||
		ftruncate(*plugin_fd, 16 * 4096) < 0)
		return -errno;
	*new_pgoff = 4096;
	return 1;
}

static int dump_ext_mount(char *mountpoint, int id)
{
	return called("DUMP_EXT_MOUNT", "%s %d", mountpoint, id);
}

static int dump_ext_link(int index, int type, char *kind)
{
	return called("DUMP_EXT_LINK", "%d %d %s", index, type, kind);
}

static int resume_devices_late(int pid)
{
	return called("RESUME_DEVICES_LATE", "%d", pid);
}

/* 'S' or 'R' if it runs, 't' if it is stopped by a tracer. */
static char state_of(int pid)
{
	char path[40], state = '?';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		return '?';
	fclose(f);
	return state == 'R' ? 'S' : state;
}

static int pause_devices(int pid)
{
	return called("PAUSE_DEVICES", "%d %c", pid, state_of(pid));
}

static int checkpoint_devices(int pid)
{
	return called("CHECKPOINT_DEVICES", "%d %c", pid, state_of(pid));
}

static int post_forking(void)
{
	return called("POST_FORKING", "-");
}

static int restore_init(void)
{
	return called("RESTORE_INIT", "-");
}

static int dump_devices_late(int id)
{
	return called("DUMP_DEVICES_LATE", "%d %c", id, state_of(id));
}

CR_PLUGIN_REGISTER(NAME, sample_init, sample_exit)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_UNIX_SK, dump_unix_sk)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__RESTORE_UNIX_SK, restore_unix_sk)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_EXT_FILE, dump_ext_file)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__RESTORE_EXT_FILE, restore_ext_file)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_EXT_MOUNT, dump_ext_mount)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_EXT_LINK, dump_ext_link)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA, handle_device_vma)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__UPDATE_VMA_MAP, update_vma_map)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__RESUME_DEVICES_LATE, resume_devices_late)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__PAUSE_DEVICES, pause_devices)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__CHECKPOINT_DEVICES, checkpoint_devices)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__POST_FORKING, post_forking)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__RESTORE_INIT, restore_init)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_DEVICES_LATE, dump_devices_late)
