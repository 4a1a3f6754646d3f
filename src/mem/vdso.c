/*
 * The vDSO at restore: code that the kernel maps into every task, and its data pages (vvar).
 *
 * The kernel's own pair is mapped by arch_prctl(ARCH_MAP_VDSO_64), data pages first.  Where the
 * image's vDSO has the same size and the same symbols, it goes to the image's place and that is
 * all.  Otherwise the image's code is restored as plain memory, since the task may hold pointers
 * into it, and each of its functions is overwritten with a jump to the kernel's, which is parked
 * in a free range; a mark in the header of that tells later dumps (spec/images-process.md 6.10).
 */
#include "mem/plan.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/remote.h"
#include "kernel/proc_maps.h"
#include "mem/vdso.h"
#include "mem/vma.h"

enum {
	ARCH_MAP_VDSO_64 = 0x2003,
	VDSO_MAX = 16 * ARCH_PAGE_SIZE,
};

static const char *const symbol_names[] = {
	"__vdso_clock_gettime",
	"__vdso_getcpu",
	"__vdso_gettimeofday",
	"__vdso_time",
	"__vdso_clock_getres",
	"__vdso_getrandom",
};
enum { N_SYMBOLS = sizeof(symbol_names) / sizeof(symbol_names[0]) };

struct vdso_symbols {
	uint64_t offset[N_SYMBOLS]; /* 0: not there */
};

/* The pair of this kernel, as the tool's own process has it. */
struct live_vdso {
	uint64_t addr, len, vvar_len;
};

static const void *at(const uint8_t *image, size_t len, uint64_t offset, uint64_t need)
{
	return offset <= len && need <= len - offset ? image + offset : NULL;
}

/* Where a file's dynamic section says a table is; the vDSO is linked at 0. */
static uint64_t dynamic_value(const Elf64_Dyn *dyn, size_t n, int64_t tag)
{
	for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++)
		if (dyn[i].d_tag == tag)
			return dyn[i].d_un.d_ptr;
	return 0;
}

static void match_symbol(const Elf64_Sym *sym, const char *name, struct vdso_symbols *ret)
{
	for (int i = 0; i < N_SYMBOLS; i++)
		if (strcmp(name, symbol_names[i]) == 0)
			ret->offset[i] = sym->st_value;
}

/* Reads an untrusted image: every offset is checked. */
static bool read_symbols(const uint8_t *image, size_t len, struct vdso_symbols *ret)
{
	const Elf64_Ehdr *eh = at(image, len, 0, sizeof(*eh));
	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	const Elf64_Phdr *ph = at(image, len, eh->e_phoff, (uint64_t)eh->e_phnum * sizeof(*ph));
	for (int i = 0; ph && i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		size_t n_dyn = ph[i].p_filesz / sizeof(Elf64_Dyn);
		const Elf64_Dyn *dyn = at(image, len, ph[i].p_offset, n_dyn * sizeof(*dyn));
		if (!dyn)
			return false;
		uint64_t symtab = dynamic_value(dyn, n_dyn, DT_SYMTAB);
		uint64_t strtab = dynamic_value(dyn, n_dyn, DT_STRTAB);
		uint64_t strsz = dynamic_value(dyn, n_dyn, DT_STRSZ);
		const char *strings = at(image, len, strtab, strsz);
		if (!strings || !strsz || strings[strsz - 1] || strtab < symtab)
			return false;
		/* the string table follows the symbols, so their number needs no hash table */
		size_t n_syms = (strtab - symtab) / sizeof(Elf64_Sym);
		const Elf64_Sym *syms = at(image, len, symtab, n_syms * sizeof(*syms));
		for (size_t k = 0; syms && k < n_syms; k++)
			if (syms[k].st_name < strsz)
				match_symbol(&syms[k], strings + syms[k].st_name, ret);
		return syms != NULL;
	}
	return false;
}

static int find_live(struct session *s, struct tree *tree, struct live_vdso *ret)
{
	if (tree->vdso) {
		*ret = *(const struct live_vdso *)tree->vdso;
		return 0;
	}
	vma_info_vec vmas = {0};
	int r = proc_maps_read(s, getpid(), &vmas);
	if (r < 0)
		return fail(s, r, "read the tool's own mappings");
	struct live_vdso *live = arena_new(&s->arena, struct live_vdso);
	vec_for_each(&vmas, v) {
		if (strcmp(v->name, "[vdso]") == 0) {
			live->addr = v->start;
			live->len = v->end - v->start;
		} else if (strncmp(v->name, "[vvar", 5) == 0) {
			live->vvar_len += v->end - v->start;
		}
	}
	tree->vdso = live;
	*ret = *live;
	return 0;
}

uint64_t vdso_live_len(void)
{
	return VDSO_MAX; /* room enough for any kernel's pair */
}

static const uint8_t *image_code(struct session *s, struct task *t, size_t *ret_len)
{
	const VmaEntry *e = mem_of(t)->vdso.vdso;
	size_t len = e->end - e->start;
	uint8_t *code = arena_alloc(&s->arena, len);
	*ret_len = len;
	return mem_image_read(s, t, e->start, code, len) ? code : NULL;
}

/* The highest free range below the image's own pair, so that it stays out of the heap's way. */
static uint64_t park(const struct mem_plan *m)
{
	uint64_t top = ARCH_TASK_SIZE;
	for (size_t i = m->vmas.n; i-- > 0; top = m->vmas.v[i].e->start)
		if (top - m->vmas.v[i].e->end >= 4 * VDSO_MAX)
			return (m->vmas.v[i].e->end + VDSO_MAX) & ~(uint64_t)(ARCH_PAGE_SIZE - 1);
	return top / 2;
}

int vdso_load(struct session *s, struct task *t)
{
	struct mem_plan *m = mem_of(t);
	struct vdso_plan *v = &m->vdso;
	if (!v->vdso)
		return v->vvar ? fail(s, EBADMSG, "pid %d: its image has vvar but no vDSO", t->vpid) : 0;
	if (v->vdso->end - v->vdso->start > VDSO_MAX)
		return fail(s, EBADMSG, "pid %d: the vDSO of its image is too large", t->vpid);
	struct live_vdso live = {0};
	int r = find_live(s, t->tree, &live);
	if (r < 0)
		return r;
	if (!live.addr)
		return fail(s, EOPNOTSUPP, "pid %d uses a vDSO, which this kernel does not have", t->vpid);
	size_t len = 0;
	const uint8_t *code = image_code(s, t, &len);
	struct vdso_symbols old = {{0}}, now = {{0}};
	if (!code || !read_symbols(code, len, &old))
		return fail(s, EBADMSG, "pid %d: the vDSO of its image cannot be read", t->vpid);
	read_symbols((const uint8_t *)live.addr, live.len, &now);
	uint64_t vvar_len = v->vvar ? v->vvar->end - v->vvar->start : 0;
	bool same = len == live.len && memcmp(&old, &now, sizeof(old)) == 0 &&
		(!v->vvar || (vvar_len == live.vvar_len && v->vvar->end == v->vdso->start));
	for (int i = 0; i < N_SYMBOLS && !same; i++)
		if (old.offset[i] && !now.offset[i])
			return fail(s, EOPNOTSUPP, "pid %d uses a vDSO with %s, which this kernel's lacks",
				t->vpid, symbol_names[i]);
	v->proxy = !same || fault_injected(FAULT_FORCE_VDSO_PROXY);
	v->live_addr = !v->proxy ? v->vdso->start - live.vvar_len : park(m);
	return 0;
}

void vdso_plan(struct task *t, struct program *p)
{
	const struct vdso_plan *v = &mem_of(t)->vdso;
	if (!v->vdso)
		return;
	program_step(p, "map", "the vDSO", SYS_arch_prctl, imm(ARCH_MAP_VDSO_64), imm(v->live_addr));
	if (!v->proxy) /* the address is only a hint: be sure */
		program_step(p, "find", "the vDSO in its place", SYS_mprotect, imm(v->vdso->start),
			imm(v->vdso->end - v->vdso->start), imm(PROT_READ | PROT_EXEC));
}

/* mov $target, %rax; jmp *%rax */
static int write_jump(pid_t pid, uint64_t addr, uint64_t target)
{
	uint8_t code[16] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0, 0xcc, 0xcc, 0xcc, 0xcc};
	memcpy(code + 2, &target, sizeof(target));
	return remote_write(pid, addr, code, sizeof(code));
}

int vdso_patch(struct session *s, struct task *t)
{
	const struct vdso_plan *v = &mem_of(t)->vdso;
	if (!v->proxy)
		return 0;
	struct live_vdso live = {0};
	int r = find_live(s, t->tree, &live);
	if (r < 0)
		return r;
	struct vdso_symbols old = {{0}}, now = {{0}};
	size_t len = 0;
	const uint8_t *code = image_code(s, t, &len);
	if (!code || !read_symbols(code, len, &old) ||
		!read_symbols((const uint8_t *)live.addr, live.len, &now))
		return fail(s, EBADMSG, "pid %d: read the vDSO to redirect", t->vpid);
	uint64_t runtime = v->live_addr + live.vvar_len;
	for (int i = 0; i < N_SYMBOLS && r >= 0; i++)
		if (old.offset[i] && now.offset[i] && old.offset[i] + 16 <= len)
			r = write_jump(t->pid, v->vdso->start + old.offset[i], runtime + now.offset[i]);
	const struct vdso_mark mark = {
		.signature = VDSO_MARK_SIGNATURE,
		.orig_vdso = v->vdso->start,
		.version = VDSO_MARK_VERSION,
		.orig_vvar = v->vvar ? v->vvar->start : UINT64_MAX,
		.rt_vvar = v->live_addr,
	};
	if (r >= 0)
		r = remote_write(t->pid, runtime, &mark, sizeof(mark));
	return r < 0 ? fail(s, r, "pid %d: redirect its vDSO", t->vpid) : 0;
}

int mem_finish(struct stubs *st, struct task *t)
{
	return st->explain ? 0 : vdso_patch(st->s, t);
}

/* In the kernel's vDSO where it is mapped, or else in any code of the task. */
int mem_find_syscall(struct stubs *st, struct task *t, uint64_t *ret_ip)
{
	const struct mem_plan *m = mem_of(t);
	struct live_vdso live = {0};
	*ret_ip = 0;
	if (st->explain)
		return 0;
	int r = find_live(st->s, t->tree, &live);
	if (r < 0)
		return r;
	if (m->vdso.vdso && live.addr) {
		ssize_t offset = arch_find_syscall((const uint8_t *)live.addr, live.len);
		if (offset >= 0) {
			*ret_ip = m->vdso.live_addr + live.vvar_len + (uint64_t)offset;
			return 0;
		}
	}
	uint8_t code[ARCH_PAGE_SIZE];
	vec_for_each(&m->vmas, v) {
		if (!(v->e->prot & PROT_EXEC) || (v->e->status & (VMA_VDSO | VMA_VVAR)))
			continue;
		for (uint64_t addr = v->e->start; addr < v->e->end; addr += sizeof(code)) {
			if (remote_read(t->pid, addr, code, sizeof(code)) < 0)
				break;
			ssize_t offset = arch_find_syscall(code, sizeof(code));
			if (offset >= 0) {
				*ret_ip = addr + (uint64_t)offset;
				return 0;
			}
		}
	}
	return fail(st->s, ENOEXEC, "pid %d has no system call instruction to leave through", t->vpid);
}
