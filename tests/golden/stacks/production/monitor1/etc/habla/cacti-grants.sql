CREATE DATABASE IF NOT EXISTS `cacti` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER IF NOT EXISTS 'cacti'@'localhost';
ALTER USER 'cacti'@'localhost' IDENTIFIED BY '@{secret:cacti/database|sql}';
GRANT ALL PRIVILEGES ON `cacti`.* TO 'cacti'@'localhost';
GRANT SELECT ON mysql.time_zone_name TO 'cacti'@'localhost';
