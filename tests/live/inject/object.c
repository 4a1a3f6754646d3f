/* Injected into another process: no library, but data, pointers that need relocation, a GOT. */
#include <stdatomic.h>
#include <stdint.h>

struct mailbox {
	_Atomic uint32_t question, answer; /* numbers of the last ones */
	int64_t in, out;
};

int64_t total = 40; /* exported, hence through the GOT */
static int64_t calls;
static int64_t once(int64_t v)
{
	return v;
}
static int64_t twice(int64_t v)
{
	return 2 * v;
}
static int64_t (*const table[])(int64_t) = {once, twice}; /* R_X86_64_RELATIVE */
const char *const greeting = "from inside";

int64_t sum(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	calls++;
	total += table[0]((int64_t)a) + table[1]((int64_t)b) + (int64_t)(c + d);
	return total;
}

int64_t n_calls(void)
{
	return calls;
}

int64_t first_letter(void)
{
	return greeting[0];
}

/* Spoils every vector register. */
int64_t spoil(void)
{
	__asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
			 "pcmpeqd %%xmm\\n, %%xmm\\n\n"
			 ".endr\n"
			 "fninit\n" ::
				 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
				 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return 0;
}

/* Much stack. */
int64_t deep(uint64_t levels)
{
	volatile char room[512];
	room[0] = (char)levels;
	return levels ? deep(levels - 1) + 1 : room[0];
}

int64_t crash(void)
{
	*(volatile int *)8 = 1;
	return 0;
}

/* Squares numbers until it is told 0, or nobody is there to tell. */
int64_t serve(struct mailbox *box, const _Atomic uint32_t *caller)
{
	int64_t served = 0;
	for (;;) {
		while (box->question == box->answer)
			if (*caller & 0x40000000)
				return -1;
		if (!box->in)
			break;
		box->out = box->in * box->in;
		served++;
		box->answer++;
	}
	box->answer++;
	return served;
}
