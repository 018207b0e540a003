/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run.c itself, by other names than its fake: to be included before
 * internal.h.
 */
#ifndef REAL_RUN_H
#define REAL_RUN_H

#define xlrbd__run_write	real_run_write
#define xlrbd__run_read		real_run_read
#define xlrbd__run_list		real_run_list
#define xlrbd__run_delete	real_run_delete
#define xlrbd__run_lock_vbd	real_run_lock_vbd
#define xlrbd__run_lock_image	real_run_lock_image
#define xlrbd__run_lock_arrival	real_run_lock_arrival
#define xlrbd__run_unlock	real_run_unlock

#endif /* REAL_RUN_H */
