/* report.html, as it is. */
	.section .rodata
	.globl crit_report_page, crit_report_page_end
crit_report_page:
	.incbin REPORT_PAGE
crit_report_page_end:
	.section .note.GNU-stack, "", %progbits
