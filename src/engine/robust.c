/* The list itself is the kernel's: one head per thread, found again by get_robust_list(2). */
#include "engine/robust.h"

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Read by the kernel when the thread dies, so it must outlive everything: one per thread. */
static _Thread_local struct robust_list_head head;

/* Each time: a fork has this memory, but another list in the kernel. */
static void register_head(void)
{
	if (!head.list.next)
		head.list.next = &head.list;
	head.futex_offset = AGENT_HOLD_OFFSET;
	syscall(SYS_set_robust_list, &head, sizeof(head));
}

void robust_hold(struct agent_channel *ch)
{
	register_head();
	struct robust_list *entry = (void *)&ch->robust_next;
	entry->next = head.list.next;
	head.list.next = entry;
}

void robust_drop(struct agent_channel *ch)
{
	struct robust_list *gone = (void *)&ch->robust_next;
	struct robust_list *at = &head.list;
	while (at->next && at->next != &head.list) {
		if (at->next == gone) {
			at->next = gone->next;
			return;
		}
		at = at->next;
	}
}
