/*
 * BPF maps: an array, a hash table (full of keys, some removed), a frozen one, one of which two files
 * are open (one of them read-only) in two tasks.
 */
#include "check.h"

#include <linux/bpf.h>

enum { N = 1000 };

static int array, hash, frozen, again;

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int make(int type, int value_size, int n, int flags, const char *name)
{
	union bpf_attr attr = {.map_type = type, .key_size = 4, .value_size = value_size,
		.max_entries = n, .map_flags = flags};

	strcpy(attr.map_name, name);
	int fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0 && (errno == EPERM || errno == ENOSYS))
		skip("no BPF maps here");
	NEED(fd >= 0);
	return fd;
}

static long element(int cmd, int fd, uint32_t key, void *value)
{
	union bpf_attr attr = {.map_fd = fd, .key = (uintptr_t)&key, .value = (uintptr_t)value};

	return bpf(cmd, &attr);
}

static struct bpf_map_info info_of(int fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {.info = {.bpf_fd = fd, .info_len = sizeof(info),
		.info = (uintptr_t)&info}};

	NEED(!bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	return info;
}

static void need_value(int fd, uint32_t key, uint64_t want)
{
	uint64_t got[2] = {0};

	NEED(!element(BPF_MAP_LOOKUP_ELEM, fd, key, got));
	SAME(got[0], want);
}

static void child(void *unused)
{
	uint64_t value = 77;

	(void)unused;
	child_park();
	need_value(again, 9, 9 * 3);
	NEED(!element(BPF_MAP_UPDATE_ELEM, hash, 9, &value));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	array = make(BPF_MAP_TYPE_ARRAY, 8, N, BPF_F_MMAPABLE, "array");
	hash = make(BPF_MAP_TYPE_HASH, 8, N, BPF_F_NO_PREALLOC, "hash_table");
	frozen = make(BPF_MAP_TYPE_ARRAY, 12, 3, 0, "");
	for (uint32_t i = 0; i < N; i++) {
		uint64_t value = i * 3, square = (uint64_t)i * i;

		NEED(!element(BPF_MAP_UPDATE_ELEM, hash, i, &value));
		NEED(!element(BPF_MAP_UPDATE_ELEM, array, i, &square));
	}
	for (uint32_t i = 0; i < N; i += 10)
		NEED(!element(BPF_MAP_DELETE_ELEM, hash, i, NULL));
	uint64_t value[2] = {42, 1};
	union bpf_attr freeze = {.map_fd = frozen}, open_again = {.open_flags = BPF_F_RDONLY};

	NEED(!element(BPF_MAP_UPDATE_ELEM, frozen, 2, value) && !bpf(BPF_MAP_FREEZE, &freeze));
	open_again.map_id = info_of(hash).id;
	again = bpf(BPF_MAP_GET_FD_BY_ID, &open_again);
	NEED(again >= 0);
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	park();
	need_exit(pid, 0);
	for (uint32_t i = 0; i < N; i++) {
		need_value(array, i, (uint64_t)i * i);
		if (i % 10)
			need_value(again, i, i == 9 ? 77 : i * 3);
		else
			NEED(element(BPF_MAP_LOOKUP_ELEM, hash, i, value) == -1 && errno == ENOENT);
	}
	need_value(frozen, 2, 42);
	NEED(element(BPF_MAP_UPDATE_ELEM, frozen, 2, value) == -1 && errno == EPERM);
	NEED(element(BPF_MAP_UPDATE_ELEM, again, 1, value) == -1 && errno == EPERM);
	NEED(!strcmp(info_of(hash).name, "hash_table") && !strcmp(info_of(array).name, "array"));
	SAME(info_of(hash).id, info_of(again).id);
	SAME(info_of(hash).max_entries, N);
	SAME(info_of(array).map_flags, BPF_F_MMAPABLE);
	SAME(info_of(hash).map_flags, BPF_F_NO_PREALLOC);
	ok();
}
