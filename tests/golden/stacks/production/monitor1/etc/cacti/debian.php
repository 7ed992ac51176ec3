<?php
$database_type = 'mysql';
$database_default = 'cacti';
$database_hostname = 'localhost';
$database_username = 'cacti';
$database_password = '@{secret:cacti/database|sql}';
$database_port = '3306';
$database_retries = 5;
$database_ssl = false;
$database_persist = false;
$poller_id = 1;
$url_path = '/cacti/';
$cacti_session_name = 'Cacti';
$cacti_db_session = false;
// logrotate does it.
$disable_log_rotation = true;
$path_csrf_secret = '/var/lib/cacti/csrf/secret.php';
$proxy_headers = null;
