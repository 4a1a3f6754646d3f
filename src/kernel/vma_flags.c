/*
 * VmFlags: two-letter words, each followed by a blank (fs/proc/task_mmu.c show_smap_vma_flags()).
 * "??" stands for a bit the running kernel itself has no word for.
 */
#include "kernel/vma_flags.h"

#include "kernel/proc_maps.h"

#define WORD(a, b) ((unsigned)(unsigned char)(a) << 8 | (unsigned char)(b))

static unsigned flag_bit(unsigned word)
{
	/* clang-format off */
	switch (word) {
	case WORD('r', 'd'): return VMF_RD;
	case WORD('w', 'r'): return VMF_WR;
	case WORD('e', 'x'): return VMF_EX;
	case WORD('s', 'h'): return VMF_SH;
	case WORD('m', 'r'): return VMF_MR;
	case WORD('m', 'w'): return VMF_MW;
	case WORD('m', 'e'): return VMF_ME;
	case WORD('m', 's'): return VMF_MS;
	case WORD('g', 'd'): return VMF_GD;
	case WORD('p', 'f'): return VMF_PF;
	case WORD('l', 'o'): return VMF_LO;
	case WORD('i', 'o'): return VMF_IO;
	case WORD('s', 'r'): return VMF_SR;
	case WORD('r', 'r'): return VMF_RR;
	case WORD('d', 'c'): return VMF_DC;
	case WORD('d', 'e'): return VMF_DE;
	case WORD('l', 'f'): return VMF_LF;
	case WORD('a', 'c'): return VMF_AC;
	case WORD('n', 'r'): return VMF_NR;
	case WORD('h', 't'): return VMF_HT;
	case WORD('s', 'f'): return VMF_SF;
	case WORD('a', 'r'): return VMF_AR;
	case WORD('w', 'f'): return VMF_WF;
	case WORD('d', 'd'): return VMF_DD;
	case WORD('b', 't'): return VMF_BT;
	case WORD('s', 'd'): return VMF_SD;
	case WORD('m', 'm'): return VMF_MM;
	case WORD('h', 'g'): return VMF_HG;
	case WORD('n', 'h'): return VMF_NH;
	case WORD('m', 'g'): return VMF_MG;
	case WORD('u', 'm'): return VMF_UM;
	case WORD('u', 'w'): return VMF_UW;
	case WORD('u', 'i'): return VMF_UI;
	case WORD('m', 't'): return VMF_MT;
	case WORD('s', 's'): return VMF_SS;
	case WORD('d', 'p'): return VMF_DP;
	case WORD('s', 'l'): return VMF_SL;
	case WORD('g', 'u'): return VMF_GU;
	}
	/* clang-format on */
	return VMF_UNKNOWN;
}

uint64_t vma_flags_parse(struct scan *line)
{
	uint64_t bits = 0;
	struct scan word;
	for (scan_blanks(line); !scan_done(line) && scan_field(line, ' ', &word);
		scan_blanks(line)) {
		bool two = word.end - word.p == 2;
		bits |= UINT64_C(1) << (two ? flag_bit(WORD(word.p[0], word.p[1])) : VMF_UNKNOWN);
	}
	return bits;
}
