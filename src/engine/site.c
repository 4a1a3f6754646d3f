/* Finding room for a few hundred bytes of code; see site.h. */
#include "engine/site.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "engine/agent/abi.h"
#include "engine/agent_blob.h"
#include "engine/remote.h"
#include "kernel/proc_maps.h"

enum { SITE_ALIGN = 64 };

size_t site_exit(size_t seat)
{
	return arch_stub_size() + seat * arch_exit_size();
}

static void size_for(struct site *site, size_t n_seats)
{
	site->n_seats = n_seats;
	site->len = site_exit(n_seats);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* Stubs left there by a killed dump count as zeros. */
static bool is_free(struct site *site)
{
	if (all_zero(site->saved, site->len))
		return true;
	uint8_t ours[SITE_MAX];
	arch_stub_build(ours, &(struct user_regs_struct){0}, 0);
	if (memcmp(ours, site->saved, arch_stub_code_size()) != 0)
		return false;
	memset(site->saved, 0, site->len);
	site->remains = true;
	return true;
}

/* The padding at the end of the vDSO's last page, for as many seats as it has room. */
static bool site_in_vdso(struct site *site, uint64_t vdso, uint64_t vdso_len)
{
	for (size_t n_seats = AGENT_SEATS; n_seats; n_seats /= 2) {
		size_for(site, n_seats);
		if (vdso_len < 2 * site->len)
			continue;
		site->addr = (vdso + vdso_len - site->len) & ~(uint64_t)(SITE_ALIGN - 1);
		if (remote_read_at(site->mem, site->addr, site->saved, site->len) >= 0 &&
			is_free(site))
			return true;
	}
	return false;
}

static int site_in_text(struct session *s, struct site *site)
{
	vma_info_vec vmas = {0};
	int r = proc_maps_read(s, site->pid, &vmas);
	if (r < 0)
		return fail(s, r, "pid %d: read its mappings", site->pid);
	size_for(site, 1);
	vec_for_each(&vmas, v) {
		if (!(v->prot & PROT_EXEC) || v->shared || v->end > ARCH_TASK_SIZE)
			continue;
		site->addr = v->start;
		if (remote_read_at(site->mem, site->addr, site->saved, site->len) >= 0)
			return 0;
	}
	return fail(s, ENOEXEC, "pid %d has no executable mapping to run a system call in",
		site->pid);
}

int site_open(struct session *s, struct site *site, pid_t pid, uint64_t vdso, uint64_t vdso_len)
{
	*site = (struct site){.pid = pid, .mem = remote_open(pid)};
	if (site->mem < 0)
		return fail(s, site->mem, "pid %d: open its memory", pid);
	return site_in_vdso(site, vdso, vdso_len) ? 0 : site_in_text(s, site);
}

int site_write(struct session *s, struct site *site, size_t offset, const void *bytes, size_t len)
{
	int r = remote_write_at(site->mem, site->addr + offset, bytes, len);
	if (r < 0)
		return fail(s, r, "pid %d: write to its vDSO at 0x%llx", site->pid,
			(unsigned long long)site->addr);
	site->written = true;
	return 0;
}

int site_clear(struct session *s, struct site *site)
{
	if (!site->written)
		return 0;
	int r = site_write(s, site, 0, site->saved, site->len);
	site->written = false;
	return r;
}

bool site_holds(const struct site *site, uint64_t ip)
{
	uint8_t page[ARCH_PAGE_SIZE];
	if (!site->remains)
		return false;
	if (ip >= site->addr && ip < site->addr + site->len)
		return true;
	return remote_read_at(site->mem, ip & ~(uint64_t)(ARCH_PAGE_SIZE - 1), page, sizeof(page)) >= 0 &&
	       memcmp(page, agent_blob_start, agent_blob_len()) == 0;
}

void site_close(struct site *site)
{
	if (site->mem >= 0)
		close(site->mem);
	site->mem = -1;
}
