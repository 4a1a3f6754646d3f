#include "socket/unix_kernel.h"

#include <string.h>

enum member {
	UNIX_ADDRESS,
	ADDRESS_LEN,
	ADDRESS_NAME,
	CB_PID,
	CB_UID,
	CB_GID,
	CB_FILES,
	CB_CONSUMED,
	PID_LEVEL,
	PID_NUMBERS,
	N_MEMBERS
};

static const struct kernel_member members[N_MEMBERS] = {
	[UNIX_ADDRESS] = {"unix_sock", "addr"},
	[ADDRESS_LEN] = {"unix_address", "len"},
	[ADDRESS_NAME] = {"unix_address", "name"},
	[CB_PID] = {"unix_skb_parms", "pid"},
	[CB_UID] = {"unix_skb_parms", "uid"},
	[CB_GID] = {"unix_skb_parms", "gid"},
	[CB_FILES] = {"unix_skb_parms", "fp"},
	[CB_CONSUMED] = {"unix_skb_parms", "consumed"},
	[PID_LEVEL] = {"pid", "level"},
	[PID_NUMBERS] = {"pid", "numbers"},
};

/* struct upid, one for each PID namespace that sees the process; the last is its own. */
enum { PID_NUMBER_SIZE = 16 };

struct unix_kernel {
	struct arena *arena;
	struct sock_memory *sockets;
	struct kernel_memory *memory;
	struct kernel_layout layout;
	uint32_t offset[N_MEMBERS];
};

struct unix_kernel *unix_kernel_get(struct file_dump *d)
{
	struct unix_dump *all = d->unix_socks;
	struct sock_memory *m = sock_memory_get(d);
	if (all->kernel || !m)
		return m ? all->kernel : NULL;
	struct unix_kernel *k = arena_new(&d->s->arena, struct unix_kernel);
	*k = (struct unix_kernel){
		.arena = &d->s->arena, .sockets = m, .memory = sock_memory_kernel(m)};
	k->layout = (struct kernel_layout){k->memory, k->offset};
	if (kernel_members_find(k->memory, members, N_MEMBERS, k->offset) >= 0)
		all->kernel = k;
	return all->kernel;
}

bool unix_kernel_is_odd(struct unix_kernel *k, const struct sock_message *m)
{
	uint64_t cb = sock_message_cb(k->sockets, m);
	bool odd = member_pointer(&k->layout, cb, CB_FILES) ||
		   member_number(&k->layout, cb, CB_CONSUMED);
	return kernel_failed(k->memory) || odd;
}

FermataUcred *unix_kernel_creds(struct unix_kernel *k, const struct sock_message *m)
{
	uint64_t cb = sock_message_cb(k->sockets, m), pid = member_pointer(&k->layout, cb, CB_PID);
	FermataUcred *creds = arena_new(k->arena, FermataUcred);
	fermata_ucred__init(creds);
	if (pid) {
		uint64_t level = member_number(&k->layout, pid, PID_LEVEL);
		creds->pid = member_number(&k->layout, pid + level * PID_NUMBER_SIZE, PID_NUMBERS);
		creds->uid = member_number(&k->layout, cb, CB_UID);
		creds->gid = member_number(&k->layout, cb, CB_GID);
	}
	return kernel_failed(k->memory) || !pid ? NULL : creds;
}

bool unix_kernel_name(struct unix_kernel *k, uint64_t sock, ProtobufCBinaryData *ret)
{
	struct sockaddr_un name;
	uint64_t address = member_pointer(&k->layout, sock, UNIX_ADDRESS);
	uint32_t len = address ? member_number(&k->layout, address, ADDRESS_LEN) : 0;
	*ret = (ProtobufCBinaryData){0};
	if (len > offsetof(struct sockaddr_un, sun_path) && len <= sizeof(name)) {
		kernel_bytes(k->memory, address + k->offset[ADDRESS_NAME], &name, len);
		ret->len = len - offsetof(struct sockaddr_un, sun_path);
		ret->data = arena_memdup(k->arena, name.sun_path, ret->len);
	}
	return !kernel_failed(k->memory) && len <= sizeof(name);
}
