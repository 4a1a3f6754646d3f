#include "socket/unix_kernel.h"

#include <string.h>

#include "kernel/kernel_memory.h"

enum member {
	TASK_FILES,
	FILES_TABLE,
	TABLE_ARRAY,
	FILE_PRIVATE,
	SOCKET_SOCK,
	SOCK_QUEUE,
	QUEUE_FIRST,
	UNIX_ADDRESS,
	ADDRESS_LEN,
	ADDRESS_NAME,
	PACKET_NEXT,
	PACKET_SOCK,
	PACKET_LEN,
	PACKET_LEN_ELSEWHERE,
	PACKET_DATA,
	PACKET_CB,
	CB_PID,
	CB_UID,
	CB_GID,
	CB_FILES,
	CB_CONSUMED,
	PID_LEVEL,
	PID_NUMBERS,
	N_MEMBERS
};

/* Those of a structure stand together: it is looked for once. */
static const struct kernel_member members[N_MEMBERS] = {
	[TASK_FILES] = {"task_struct", "files"},
	[FILES_TABLE] = {"files_struct", "fdt"},
	[TABLE_ARRAY] = {"fdtable", "fd"},
	[FILE_PRIVATE] = {"file", "private_data"},
	[SOCKET_SOCK] = {"socket", "sk"},
	[SOCK_QUEUE] = {"sock", "sk_receive_queue"},
	[QUEUE_FIRST] = {"sk_buff_head", "next"},
	[UNIX_ADDRESS] = {"unix_sock", "addr"},
	[ADDRESS_LEN] = {"unix_address", "len"},
	[ADDRESS_NAME] = {"unix_address", "name"},
	[PACKET_NEXT] = {"sk_buff", "next"},
	[PACKET_SOCK] = {"sk_buff", "sk"},
	[PACKET_LEN] = {"sk_buff", "len"},
	[PACKET_LEN_ELSEWHERE] = {"sk_buff", "data_len"},
	[PACKET_DATA] = {"sk_buff", "data"},
	[PACKET_CB] = {"sk_buff", "cb"},
	[CB_PID] = {"unix_skb_parms", "pid"},
	[CB_UID] = {"unix_skb_parms", "uid"},
	[CB_GID] = {"unix_skb_parms", "gid"},
	[CB_FILES] = {"unix_skb_parms", "fp"},
	[CB_CONSUMED] = {"unix_skb_parms", "consumed"},
	[PID_LEVEL] = {"pid", "level"},
	[PID_NUMBERS] = {"pid", "numbers"},
};

/* More are no queue, which buffers bound. */
enum { MESSAGES_MAX = 1 << 20 };

/* struct upid, one for each PID namespace that sees the process; the last is its own. */
enum { PID_NUMBER_SIZE = 16 };

struct unix_kernel {
	struct arena *arena;
	struct kernel_memory memory;
	int offset[N_MEMBERS];
	int r; /* 0 until something could not be read */
};

static void read_member(
	struct unix_kernel *k, uint64_t object, enum member m, void *ret, size_t size)
{
	if (k->r >= 0)
		k->r = kernel_memory_read(&k->memory, object + (uint64_t)k->offset[m], ret, size);
}

static uint64_t read_pointer(struct unix_kernel *k, uint64_t object, enum member m)
{
	uint64_t value = 0;
	read_member(k, object, m, &value, sizeof(value));
	return value;
}

static uint32_t read_number(struct unix_kernel *k, uint64_t object, enum member m)
{
	uint32_t value = 0;
	read_member(k, object, m, &value, sizeof(value));
	return value;
}

static int open_kernel(struct unix_kernel *k)
{
	int r = kernel_members_find(members, N_MEMBERS, k->offset);
	if (r >= 0)
		r = kernel_memory_open(&k->memory);
	return r;
}

struct unix_kernel *unix_kernel_get(struct file_dump *d)
{
	struct unix_dump *all = d->unix_socks;
	if (all->kernel || all->kernel_is_closed)
		return all->kernel;
	struct unix_kernel *k = arena_new(&d->s->arena, struct unix_kernel);
	*k = (struct unix_kernel){.arena = &d->s->arena, .memory = KERNEL_MEMORY_NONE};
	if (open_kernel(k) < 0) {
		log_debug(d->s, "The kernel does not let its memory be read");
		all->kernel_is_closed = true;
		return NULL;
	}
	return all->kernel = k;
}

void unix_kernel_close(struct file_dump *d)
{
	struct unix_dump *all = d->unix_socks;
	if (all->kernel)
		kernel_memory_close(&all->kernel->memory);
	all->kernel = NULL;
}

uint64_t unix_kernel_sock(struct unix_kernel *k, int fd)
{
	uint64_t task, file = 0;
	k->r = kernel_memory_current_task(&k->memory, &task);
	/* anew each time: the table moves when it grows */
	uint64_t table = read_pointer(k, read_pointer(k, task, TASK_FILES), FILES_TABLE);
	uint64_t array = read_pointer(k, table, TABLE_ARRAY);
	if (k->r >= 0)
		k->r = kernel_memory_read(
			&k->memory, array + (uint64_t)fd * sizeof(file), &file, sizeof(file));
	uint64_t sock = read_pointer(k, read_pointer(k, file, FILE_PRIVATE), SOCKET_SOCK);
	return k->r < 0 ? 0 : sock;
}

bool unix_kernel_queue(struct unix_kernel *k, uint64_t sock, kernel_message_vec *ret)
{
	uint64_t queue = sock + (uint64_t)k->offset[SOCK_QUEUE];
	k->r = 0;
	uint64_t at = read_pointer(k, queue, QUEUE_FIRST);
	for (; k->r >= 0 && at != queue && ret->n < MESSAGES_MAX;
		at = read_pointer(k, at, PACKET_NEXT)) {
		uint64_t cb = at + (uint64_t)k->offset[PACKET_CB];
		*vec_push(k->arena, ret) = (struct kernel_message){
			.at = at,
			.len = read_number(k, at, PACKET_LEN),
			.scattered = read_number(k, at, PACKET_LEN_ELSEWHERE) ||
				     read_number(k, cb, CB_CONSUMED),
			.has_files = read_pointer(k, cb, CB_FILES),
		};
	}
	return k->r >= 0 && at == queue;
}

uint64_t unix_kernel_owner(struct unix_kernel *k, const struct kernel_message *m)
{
	k->r = 0;
	return read_pointer(k, m->at, PACKET_SOCK);
}

bool unix_kernel_bytes(struct unix_kernel *k, const struct kernel_message *m, void *ret)
{
	k->r = 0;
	uint64_t data = read_pointer(k, m->at, PACKET_DATA);
	if (k->r >= 0)
		k->r = kernel_memory_read(&k->memory, data, ret, m->len);
	return k->r >= 0;
}

FermataUcred *unix_kernel_creds(struct unix_kernel *k, const struct kernel_message *m)
{
	uint64_t cb = m->at + (uint64_t)k->offset[PACKET_CB];
	k->r = 0;
	uint64_t pid = read_pointer(k, cb, CB_PID);
	if (!pid)
		return NULL;
	FermataUcred *creds = arena_new(k->arena, FermataUcred);
	fermata_ucred__init(creds);
	uint64_t level = read_number(k, pid, PID_LEVEL);
	creds->pid = read_number(k, pid + level * PID_NUMBER_SIZE, PID_NUMBERS);
	creds->uid = read_number(k, cb, CB_UID);
	creds->gid = read_number(k, cb, CB_GID);
	return k->r < 0 ? NULL : creds;
}

bool unix_kernel_name(struct unix_kernel *k, uint64_t sock, ProtobufCBinaryData *ret)
{
	struct sockaddr_un name;
	k->r = 0;
	uint64_t address = read_pointer(k, sock, UNIX_ADDRESS);
	uint32_t len = address ? read_number(k, address, ADDRESS_LEN) : 0;
	*ret = (ProtobufCBinaryData){0};
	if (k->r < 0 || len > sizeof(name))
		return false;
	if (len <= offsetof(struct sockaddr_un, sun_path))
		return true;
	read_member(k, address, ADDRESS_NAME, &name, len);
	ret->len = len - offsetof(struct sockaddr_un, sun_path);
	ret->data = arena_memdup(k->arena, name.sun_path, ret->len);
	return k->r >= 0;
}
