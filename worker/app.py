"""The Celery app. A message is a wake-up and nothing else, so most of Celery is switched off on purpose."""

from __future__ import annotations

from celery import Celery

from worker.settings import get_settings

app = Celery("dartboard", broker=get_settings().redis_url.get_secret_value(), include=["worker.tasks"])
app.conf.update(
    broker_transport="worker.broker:Transport",
    # CUDA does not survive a fork; a fresh child after each wake-up gives all GPU memory back.
    worker_pool="prefork",
    worker_pool_start_method="spawn",
    worker_concurrency=1,
    worker_max_tasks_per_child=1,
    # The child imports torch before it reports for duty.
    worker_proc_alive_timeout=120.0,
    # A wake-up waits for an idle worker, not behind a running job.
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    # Acknowledged early: the job's row is the truth, redelivery is not wanted.
    task_acks_late=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    # The broker may be away for as long as it likes; a running job does not care.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Access to the broker must not become control over the workers.
    worker_enable_remote_control=False,
    accept_content=["json"],
    worker_hijack_root_logger=False,
)
