// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <stdlib.h>

#include "unit.h"

int main(void)
{
	SRunner *runner = srunner_create(attach_suite());
	int failed;

	srunner_add_suite(runner, arrive_suite());
	srunner_add_suite(runner, clone_suite());
	srunner_add_suite(runner, conf_suite());
	srunner_add_suite(runner, cookie_suite());
	srunner_add_suite(runner, deadline_suite());
	srunner_add_suite(runner, definitions_suite());
	srunner_add_suite(runner, disk_suite());
	srunner_add_suite(runner, drain_suite());
	srunner_add_suite(runner, files_suite());
	srunner_add_suite(runner, gc_suite());
	srunner_add_suite(runner, holders_suite());
	srunner_add_suite(runner, lock_suite());
	srunner_add_suite(runner, prepare_suite());
	srunner_add_suite(runner, spec_suite());
	srunner_add_suite(runner, takeover_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
