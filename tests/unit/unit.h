/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>

/* One suite for each file of the library that is pure. */
Suite *arrive_suite(void);
Suite *attach_suite(void);
Suite *clone_suite(void);
Suite *conf_suite(void);
Suite *cookie_suite(void);
Suite *deadline_suite(void);
Suite *definitions_suite(void);
Suite *disk_suite(void);
Suite *drain_suite(void);
Suite *files_suite(void);
Suite *gc_suite(void);
Suite *holders_suite(void);
Suite *lock_suite(void);
Suite *prepare_suite(void);
Suite *spec_suite(void);
Suite *takeover_suite(void);

#endif /* UNIT_H */
