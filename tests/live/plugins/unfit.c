/* Plugins that cannot be used; -D says why. */
#include <errno.h>
#include "criu-plugin.h"

static __attribute__((unused)) int no(int stage)
{
	return stage - 17;
}

cr_plugin_desc_t CR_PLUGIN_DESC = {
	.name = "unfit",
	.version = CRIU_PLUGIN_VERSION,
	.max_hooks = CR_PLUGIN_HOOK__MAX,
#ifdef TOO_NEW
	.version = CRIU_PLUGIN_GEN_VERSION(0, 3, 1),
#endif
#ifdef TOO_MANY
	.max_hooks = CR_PLUGIN_HOOK__MAX + 1,
#endif
#ifdef INIT
	.init = no,
#endif
};
