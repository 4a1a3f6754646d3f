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
	UNIX_PEER,
	SOCK_ERROR,
	SOCK_CALLER,
	SOCK_CALLER_CRED,
	CRED_UID,
	CRED_GID,
	CRED_GROUPS,
	GROUPS_N,
	GROUPS_GIDS,
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
	[UNIX_PEER] = {"unix_sock", "peer"},
	[SOCK_ERROR] = {"sock", "sk_err"},
	[SOCK_CALLER] = {"sock", "sk_peer_pid"},
	[SOCK_CALLER_CRED] = {"sock", "sk_peer_cred"},
	[CRED_UID] = {"cred", "euid"},
	[CRED_GID] = {"cred", "egid"},
	[CRED_GROUPS] = {"cred", "group_info"},
	[GROUPS_N] = {"group_info", "ngroups"},
	[GROUPS_GIDS] = {"group_info", "gid"},
	[PID_LEVEL] = {"pid", "level"},
	[PID_NUMBERS] = {"pid", "numbers"},
};

/* Without CONFIG_AF_UNIX_OOB, or before Linux 5.15, there are no urgent bytes. */
static const struct kernel_member urgent = {"unix_sock", "oob_skb"};

/* struct upid, one for each PID namespace that sees the process; the last is its own. */
enum { PID_NUMBER_SIZE = 16, GROUPS_MAX = 65536 };

struct unix_kernel {
	struct arena *arena;
	struct sock_memory *sockets;
	struct kernel_memory *memory;
	struct kernel_layout layout;
	uint32_t offset[N_MEMBERS];
	bool knows_urgent;
	uint32_t urgent; /* offset */
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
	k->knows_urgent = kernel_members_find(k->memory, &urgent, 1, &k->urgent) >= 0;
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

bool unix_kernel_has_urgent(struct unix_kernel *k, uint64_t sock)
{
	uint64_t message = k->knows_urgent ? kernel_pointer(k->memory, sock + k->urgent) : 0;
	return kernel_failed(k->memory) || message;
}

/* As its own PID namespace counts it. */
static uint32_t number_of_pid(struct unix_kernel *k, uint64_t pid)
{
	uint64_t level = member_number(&k->layout, pid, PID_LEVEL);
	return member_number(&k->layout, pid + level * PID_NUMBER_SIZE, PID_NUMBERS);
}

FermataUcred *unix_kernel_creds(struct unix_kernel *k, const struct sock_message *m)
{
	uint64_t cb = sock_message_cb(k->sockets, m);
	uint64_t pid = member_pointer(&k->layout, cb, CB_PID);
	FermataUcred *creds = arena_new(k->arena, FermataUcred);
	fermata_ucred__init(creds);
	if (pid) {
		creds->pid = number_of_pid(k, pid);
		creds->uid = member_number(&k->layout, cb, CB_UID);
		creds->gid = member_number(&k->layout, cb, CB_GID);
	}
	return kernel_failed(k->memory) || !pid ? NULL : creds;
}

FermataUcred *unix_kernel_caller(struct unix_kernel *k, uint64_t sock)
{
	uint64_t pid = member_pointer(&k->layout, sock, SOCK_CALLER);
	uint64_t cred = pid ? member_pointer(&k->layout, sock, SOCK_CALLER_CRED) : 0;
	uint64_t groups = cred ? member_pointer(&k->layout, cred, CRED_GROUPS) : 0;
	FermataUcred *creds = arena_new(k->arena, FermataUcred);
	fermata_ucred__init(creds);
	uint32_t n = groups ? member_number(&k->layout, groups, GROUPS_N) : 0;
	if (!groups || n > GROUPS_MAX)
		return NULL;
	creds->pid = number_of_pid(k, pid);
	creds->uid = member_number(&k->layout, cred, CRED_UID);
	creds->gid = member_number(&k->layout, cred, CRED_GID);
	creds->groups = arena_array(k->arena, uint32_t, n + !n);
	creds->n_groups = n;
	kernel_bytes(
		k->memory, groups + k->offset[GROUPS_GIDS], creds->groups, n * sizeof(uint32_t));
	return kernel_failed(k->memory) ? NULL : creds;
}

bool unix_kernel_can_go_on(struct unix_kernel *k, uint64_t sock)
{
	ProtobufCBinaryData name;
	uint32_t error = member_number(&k->layout, sock, SOCK_ERROR);
	uint64_t client = member_pointer(&k->layout, sock, UNIX_PEER);
	return client && unix_kernel_name(k, client, &name) && !name.len && !error;
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
