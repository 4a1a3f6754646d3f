/*
 * Loading an ELF shared object into the room.
 *
 * Segments go where they would be relative to each other; relocations and symbols are found by the
 * section table, which strip(1) leaves in place.  What the object cannot have: undefined symbols,
 * thread-local storage, IFUNCs, segments that are writable and executable.
 */
#include "internal.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct fermata_object {
	struct fermata_inject *t;
	char *host;    /* the object's address 0, here ... */
	uint64_t base; /* ... and there */
	size_t span;
	Elf64_Sym *symbols;
	size_t n_symbols;
	char *strings;
	size_t strings_len;
};

struct elf {
	const uint8_t *bytes;
	size_t len;
	const Elf64_Ehdr *head;
	const Elf64_Phdr *segments;
	const Elf64_Shdr *sections;
};

static bool inside_file(const struct elf *e, uint64_t offset, uint64_t len)
{
	return offset <= e->len && len <= e->len - offset;
}

static bool table_ok(const struct elf *e, uint64_t offset, size_t n, size_t size, size_t want)
{
	return size == want && offset % _Alignof(uint64_t) == 0 && inside_file(e, offset, n * size);
}

static int open_elf(struct fermata_inject *t, struct elf *e)
{
	const Elf64_Ehdr *h = e->head = (const void *)e->bytes;
	if (e->len < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return inject_fail(t, ENOEXEC, "the object is no ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64 || h->e_type != ET_DYN)
		return inject_fail(t, ENOEXEC, "the object is no shared object for x86_64");
	if (!table_ok(e, h->e_phoff, h->e_phnum, h->e_phentsize, sizeof(Elf64_Phdr)) ||
		!table_ok(e, h->e_shoff, h->e_shnum, h->e_shentsize, sizeof(Elf64_Shdr)))
		return inject_fail(t, ENOEXEC, "the object's tables are damaged or missing");
	e->segments = (const void *)(e->bytes + h->e_phoff);
	e->sections = (const void *)(e->bytes + h->e_shoff);
	return 0;
}

static int measure(struct fermata_inject *t, const struct elf *e, size_t *ret_span)
{
	*ret_span = 0;
	for (size_t i = 0; i < e->head->e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		if (p->p_type == PT_TLS)
			return inject_fail(t, EOPNOTSUPP, "the object has thread-local storage");
		if (p->p_type != PT_LOAD)
			continue;
		if (!inside_file(e, p->p_offset, p->p_filesz) || p->p_filesz > p->p_memsz ||
			p->p_memsz > t->room_len || p->p_vaddr > t->room_len)
			return inject_fail(t, ENOSPC,
				"no room for a segment of %llu bytes at %#llx",
				(unsigned long long)p->p_memsz, (unsigned long long)p->p_vaddr);
		if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
			return inject_fail(t, EACCES, "a segment is writable and executable");
		if (p->p_vaddr + p->p_memsz > *ret_span)
			*ret_span = p->p_vaddr + p->p_memsz;
	}
	return 0;
}

static void copy_segments(const struct fermata_object *o, const struct elf *e)
{
	for (size_t i = 0; i < e->head->e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		if (p->p_type == PT_LOAD)
			memcpy(o->host + p->p_vaddr, e->bytes + p->p_offset, p->p_filesz);
	}
}

/* After the relocations. Neighbours never share a page: the linker begins a new one. */
static int protect_segments(const struct fermata_object *o, const struct elf *e)
{
	const uint64_t in_page = ARCH_PAGE_SIZE - 1;
	for (size_t i = 0; i < e->head->e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		if (p->p_type != PT_LOAD || p->p_flags & PF_X || !p->p_memsz)
			continue;
		uint64_t start = p->p_vaddr & ~in_page;
		uint64_t end = (p->p_vaddr + p->p_memsz + in_page) & ~in_page;
		int r = inject_protect(o->t, (size_t)(o->base - o->t->room_addr + start),
			end - start, PROT_READ | (p->p_flags & PF_W ? PROT_WRITE : 0));
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_symbols(struct fermata_object *o, const struct elf *e)
{
	struct arena *a = &o->t->s.arena;
	for (size_t i = 0; i < e->head->e_shnum; i++) {
		const Elf64_Shdr *sym = &e->sections[i];
		if (sym->sh_type != SHT_DYNSYM)
			continue;
		const Elf64_Shdr *str =
			&e->sections[sym->sh_link < e->head->e_shnum ? sym->sh_link : 0];
		if (!inside_file(e, sym->sh_offset, sym->sh_size) ||
			!inside_file(e, str->sh_offset, str->sh_size) || !str->sh_size ||
			e->bytes[str->sh_offset + str->sh_size - 1])
			return inject_fail(o->t, ENOEXEC, "the object's symbols are damaged");
		o->n_symbols = sym->sh_size / sizeof(Elf64_Sym);
		o->symbols = arena_memdup(a, e->bytes + sym->sh_offset, sym->sh_size);
		o->strings = arena_memdup(a, e->bytes + str->sh_offset, str->sh_size);
		o->strings_len = str->sh_size;
		return 0;
	}
	return inject_fail(o->t, ENOEXEC, "the object has no dynamic symbols");
}

static const char *name_of(const struct fermata_object *o, const Elf64_Sym *sym)
{
	return sym->st_name < o->strings_len ? o->strings + sym->st_name : "?";
}

/* The address of what a relocation names; weak symbols that nobody has are 0. */
static int resolve(const struct fermata_object *o, uint64_t index, uint64_t *ret)
{
	if (index >= o->n_symbols)
		return inject_fail(o->t, ENOEXEC,
			"a relocation names symbol %llu, which is not there",
			(unsigned long long)index);
	const Elf64_Sym *sym = &o->symbols[index];
	bool defined = sym->st_shndx != SHN_UNDEF;
	if (!defined && ELF64_ST_BIND(sym->st_info) != STB_WEAK)
		return inject_fail(o->t, ENOEXEC, "the object needs %s, which it does not define",
			name_of(o, sym));
	*ret = defined ? o->base + sym->st_value : 0;
	return 0;
}

static int relocate_one(const struct fermata_object *o, const Elf64_Rela *rela)
{
	uint64_t value = 0;
	int r = 0;
	switch (ELF64_R_TYPE(rela->r_info)) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_RELATIVE:
		value = o->base + (uint64_t)rela->r_addend;
		break;
	case R_X86_64_64:
		r = resolve(o, ELF64_R_SYM(rela->r_info), &value);
		value += (uint64_t)rela->r_addend;
		break;
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
		r = resolve(o, ELF64_R_SYM(rela->r_info), &value);
		break;
	default:
		return inject_fail(o->t, EOPNOTSUPP, "the object has a relocation of type %llu",
			(unsigned long long)ELF64_R_TYPE(rela->r_info));
	}
	if (r < 0)
		return r;
	if (rela->r_offset > o->span - sizeof(value))
		return inject_fail(o->t, ENOEXEC, "a relocation lies outside of the object");
	memcpy(o->host + rela->r_offset, &value, sizeof(value));
	return 0;
}

static int relocate(const struct fermata_object *o, const struct elf *e)
{
	int r = 0;
	for (size_t i = 0; i < e->head->e_shnum && r >= 0; i++) {
		const Elf64_Shdr *s = &e->sections[i];
		if (s->sh_type != SHT_RELA || !(s->sh_flags & SHF_ALLOC))
			continue;
		if (!inside_file(e, s->sh_offset, s->sh_size))
			return inject_fail(o->t, ENOEXEC, "the object's relocations are damaged");
		for (size_t k = 0; k < s->sh_size / sizeof(Elf64_Rela) && r >= 0; k++) {
			Elf64_Rela rela;
			memcpy(&rela, e->bytes + s->sh_offset + k * sizeof(rela), sizeof(rela));
			r = relocate_one(o, &rela);
		}
	}
	return r;
}

int fermata_inject_load(
	struct fermata_inject *t, const void *elf, size_t len, struct fermata_object **ret_object)
{
	struct elf e = {.bytes = elf, .len = len};
	int r = inject_need_agent(t);
	if (r >= 0)
		r = open_elf(t, &e);
	if (r < 0)
		return r;
	struct fermata_object *o = arena_new(&t->s.arena, struct fermata_object);
	o->t = t;
	r = measure(t, &e, &o->span);
	if (r < 0)
		return r;
	if (o->span < sizeof(uint64_t))
		return inject_fail(t, ENOEXEC, "the object has nothing to load");
	ssize_t offset = inject_take_room(t, o->span, PROT_READ | PROT_EXEC);
	if (offset < 0)
		return (int)offset;
	o->host = t->room + offset;
	o->base = t->room_addr + (size_t)offset;
	copy_segments(o, &e);
	r = take_symbols(o, &e);
	if (r >= 0)
		r = relocate(o, &e);
	if (r >= 0)
		r = protect_segments(o, &e);
	if (r >= 0)
		*ret_object = o;
	return r;
}

static const Elf64_Sym *find(const struct fermata_object *o, const char *name)
{
	for (size_t i = 0; i < o->n_symbols; i++)
		if (o->symbols[i].st_shndx != SHN_UNDEF && o->symbols[i].st_value < o->span &&
			!strcmp(name_of(o, &o->symbols[i]), name))
			return &o->symbols[i];
	return NULL;
}

uint64_t fermata_object_symbol(const struct fermata_object *o, const char *name)
{
	const Elf64_Sym *sym = find(o, name);
	return sym ? o->base + sym->st_value : 0;
}

void *fermata_object_data(const struct fermata_object *o, const char *name)
{
	const Elf64_Sym *sym = find(o, name);
	return sym ? o->host + sym->st_value : NULL;
}
