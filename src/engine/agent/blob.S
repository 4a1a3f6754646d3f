/* The agent's blob, embedded in the tool. */
	.section .rodata
	.globl agent_blob_start, agent_blob_end
	.hidden agent_blob_start, agent_blob_end
	.balign 16
agent_blob_start:
	.incbin AGENT_BLOB
agent_blob_end:
	.section .note.GNU-stack, "", @progbits
