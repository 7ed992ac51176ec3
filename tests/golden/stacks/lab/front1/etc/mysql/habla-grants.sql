CREATE DATABASE IF NOT EXISTS `habla`;
CREATE USER IF NOT EXISTS 'habla'@'192.168.2.0/255.255.255.0';
ALTER USER 'habla'@'192.168.2.0/255.255.255.0' IDENTIFIED BY '@{secret:mysql/habla|sql}';
GRANT ALL PRIVILEGES ON `habla`.* TO 'habla'@'192.168.2.0/255.255.255.0';
CREATE TABLE IF NOT EXISTS mysql.habla_accounts
    (User VARCHAR(128) NOT NULL, Host VARCHAR(255) NOT NULL, PRIMARY KEY (User, Host));
USE mysql;
CREATE TEMPORARY TABLE habla_wanted (User VARCHAR(128), Host VARCHAR(255), Pattern VARCHAR(255));
INSERT INTO habla_wanted VALUES ('habla', '192.168.2.0/255.255.255.0', 'habla');
-- Accounts from before there was this table.
INSERT IGNORE INTO habla_accounts
    SELECT old.User, old.Host FROM user old JOIN habla_wanted wanted ON old.User = wanted.User
    WHERE old.Host LIKE '%/%';
INSERT IGNORE INTO habla_accounts SELECT User, Host FROM habla_wanted;
DELIMITER //
BEGIN NOT ATOMIC
    FOR old IN (SELECT User, Host FROM habla_accounts
                WHERE (User, Host) NOT IN (SELECT User, Host FROM habla_wanted)) DO
        EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ', QUOTE(old.User), '@', QUOTE(old.Host));
        DELETE FROM habla_accounts WHERE User = old.User AND Host = old.Host;
    END FOR;
    FOR old IN (SELECT db.User, db.Host, db.Db FROM db JOIN habla_wanted wanted
                ON db.User = wanted.User AND db.Host = wanted.Host WHERE db.Db <> wanted.Pattern) DO
        EXECUTE IMMEDIATE CONCAT('REVOKE ALL PRIVILEGES ON `', old.Db, '`.* FROM ',
                                 QUOTE(old.User), '@', QUOTE(old.Host));
    END FOR;
END //
DELIMITER ;
