/* Picks the architecture's half of the agent. */
#if defined(__x86_64__)
#include "arch/x86_64/agent_call.h"
#else
#error "no agent for this architecture yet: add src/arch/<arch>/agent_call.h"
#endif
