-- A database of the commit before migrations (6846aa8), made by its own code and dumped with `sqlite3 serving.db .dump`.
-- Its clock was set to 2026-01. In order: campaigns.import_ of two campaigns; experiment "first" (feedback.check and
-- ingest over 8 cycles, the policy's ROI 59 % below, each request's first event told twice, one conversion late), ended
-- by watch.check and watch.end for a guardrail; a rollback and bundle.serve noted by audit.record; campaigns.edit of a
-- budget; experiment "second" (14 cycles, +13 %); pause, resume, a given override set and lifted, the kill switch set;
-- experiment "third", ended by a person; assignments and served splits by record.Recorder, with explore.noise and
-- explore.log_density; pushes noted by push._note. Amounts are multiples of 1/4, so that sums are exact in any order.
BEGIN TRANSACTION;
CREATE TABLE assignments (
	experiment VARCHAR(200) NOT NULL, 
	user VARCHAR(64) NOT NULL, 
	arm VARCHAR(20) NOT NULL, 
	bucket INTEGER NOT NULL, 
	first_seen DATETIME NOT NULL, 
	PRIMARY KEY (experiment, user)
);
INSERT INTO "assignments" VALUES('first','2b419d69c0e1cfb76df042b515a35490','control',8690,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','f2e2f1e0be0f2b04af36bfd1395a4a86','policy',4229,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','62cfbc6f77add12c4eb638746586f6ed','policy',5981,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','d75817c98d970fe260aa6f75a8a953e6','policy',3734,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','2afaaeaf5edd2a2069f1677099b19cfa','policy',4529,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c5ef77f9283a985a5e2dfe54092a0319','policy',6376,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','9452bee6fb1a44bc42571f3a1616b941','policy',5801,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','256531fc31e239221b0d04d78222cd22','policy',4095,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','81a0a65cd829112d5ddeaec0704961c0','policy',4234,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','d3ffe7d2646c9b481a5dd7befad17c18','control',8393,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','f9a06be13e271384133ac75323f0374e','policy',5650,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','e7c63c9b4ee5be0cbb2b637fdb2e8ab3','policy',3472,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','5fa75f7836e48940656bd1b7020294ef','policy',5881,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a096c46fc0e1f45439ba4733e6b907fb','policy',5002,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','09d1b68efd326f9f5ec0cb74f3f9e515','policy',2652,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','8cc53503a13a77d021e3239bbf8b8991','control',7223,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','bbd42486f0e0a13427a80bc09b776706','control',9633,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a5a67906609a1479e2bbce235711cee8','control',7823,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4c6cc802101a80bb5ef172d691fd01a3','policy',6956,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','f561817f3eafce3f823f2f461befb32f','control',9740,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4e52567d05cc1f8194b50f3462edb8cf','policy',1561,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','accb9f81af3ad09cac711179f99068e1','policy',4177,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c949bbdb6f507d130061f82534156d29','policy',3591,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','660ca62aa926da92e6471eef4fa98fb5','policy',2521,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ff83b34515f6390118f94e77d586acff','control',8425,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ddc485b9f73489e989ce6a7423beb481','policy',6114,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','86c5f8422606288ea65407c11b96e8c8','control',9255,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','8a165fce536c665ebf5a73bcc6abf722','policy',5204,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c157dde60dbdb9c80ad789153c48dac1','policy',6006,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a9218e4b32362b897c196a9ada396db1','policy',2125,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','413bd789e03f4c33f43b752df4ceae16','policy',6609,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','009cae1d89b9aae56e6019ac6dc9d33b','control',7221,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','66ac789150ac72bf1e7a1ac5a8b496ee','control',8941,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','3a7be0871a2ebbed954dee37b1fe5916','policy',6491,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4454550486eefb7ee954596a0f9646cd','control',7394,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','724697f697546e17468b66a42159b0f4','control',9597,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','b4bf4c107a465c36105ab007b9043b55','policy',3439,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ea4977f84a5bdee3ef2c35b4cf607b40','policy',563,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','b298f9e0e1f12a3d2a5cd86538ceef86','policy',5291,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ca0cea141f19d4d62469c140dd27111e','policy',6375,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','1442c425408d5987e33aa7c5e82f692b','control',8223,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','e82437bb1e3a944877d15b2c2a9b3065','policy',1480,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','8920996513ff77d43f5b4d03c78989be','policy',4513,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','d69310575e9c8f3ee9b7618e31c19b81','policy',1023,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c06e1c21692ade1eed2c6e31cb2ee537','policy',2612,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c25b5fb01b26db02bde7a928e5c410a4','control',7923,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','952fffca87036cd29e1f58abd1df52b7','control',7501,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4f2ab0b6ed6ab958dae3a44432faca25','policy',117,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','c0b4aff471d2d6d718d1e7cefdc4283b','policy',2634,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','71794ab837cb061e8219eab818694c53','policy',3838,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','16918e98477091f0308409b471d01c37','policy',5819,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','9b09addef644119e9180fdaff4511538','policy',2052,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a4be0346dd19a58ea5712130f688b67c','policy',1337,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','df7b4073f1d0a51e43219665aa98e1f9','control',9697,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','396a70cac6053a445e9f9b5b6bfa0c01','policy',1284,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','24380e17c48094f628cfb02feceeb80d','policy',735,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','57e70b250b66689491c99d2e185fd414','policy',5410,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','74baa8b7e85ee4dfa17964238a776f98','policy',1381,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','aeb9fa72f0fe385fa18b98172168e872','control',9525,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a41be5eca3770c4a2f7b9eda48096697','policy',377,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','b8a1cfea2a0b0e64652dffa3dc8da037','control',8135,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','a292ca2b144ee243b878451aa32e8efc','policy',4620,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','9fb5030d512f2ceac82549322295df49','policy',1697,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','54656fedde1521641a0e76d0a20d38f9','policy',5258,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','8e6e0ba191d0c8b6f96d0445d7ea56d6','policy',3912,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','7b3e7cc3be574fbb58eed9af64148efc','policy',5297,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ca0df05947ffe491ae3553504eb8e444','policy',5141,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ae420b55e37ce90abd4757163e3e9145','control',9111,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','5d61ba0465c9a042d883ce61f13c6833','control',7640,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','93734034ae7859c2caf80f98d3464dd3','policy',5669,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ab8f7779b9af771f36749eb4fe6b526d','policy',1616,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','96d2ca66c15c997cb0365ec3883fbe72','control',7356,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','f57f63ab10f16986526944a4b18459fd','policy',5973,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ed96666cb61330ed5dafc750bcc76f66','policy',2767,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','cf027b9f51e1bb3938b69af50ea03728','policy',5282,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','768d6b8112cbaafdf75a1d2d1c1a83e9','control',8336,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','92551b32dcda6a5cb4dcede70c5ee072','policy',2203,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','e62ae5a49e3b66a16fe816e75a0e2bb0','policy',2596,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','9cb077cb3cdaee8fd5b28af828f8abb3','policy',2613,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','2d7910d7e112e23ad3890288a9b11b15','policy',919,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4c45fb745e5a7238d870f9452d318cae','policy',3506,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','579b497600c4a9765143373f229df2ec','control',9001,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','40b95cbfdacae3c736dc47d1c3068ed5','control',9134,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4e6063c764ac9b52dc07bda636c75696','policy',3001,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','ca5bf3de5c69eeb1b0e78cee3759875e','policy',4655,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','595e4175a683d636d1b9af7c134705a1','control',8046,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','9d355276b07d74ca58b53c06066b2bf7','policy',5967,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','4ae0910a4df8b7327f77a1623d356ec4','control',8424,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','f3b56a65aef8d4216fa2d6a66082c60f','policy',3818,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('first','508464a6810b3e0631ce053998c241ab','policy',4307,'2026-01-07 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','43c4f735ff893824cf68b4755cc0e5ae','policy',4943,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','d9387bb87190ac5f2f2e0b203410d564','control',9813,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','4f15a71e2063eb910e9004b33ab29198','policy',1216,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','8662aefaddcaeb5d6098118c0f1c30e0','policy',2075,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','e2fe204d089c9398e8fbbb6790d70916','control',8946,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','e6c2b09867ea2cc7afad12fc92f15cd8','control',9343,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','62d63a26a2baa4bf4b41ed9d130d3ebe','policy',1253,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','a443fee34ae33b856b734ddb56a070cb','control',9005,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','65e111708f6e934bf39cf1971c7de759','control',7371,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','c583accc89fb521c02509b846c3e391e','control',8201,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','8725b926275ced135fbd1989476d2cdd','policy',56,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','b2720391c77706e21c9c7db63ec353fd','policy',6359,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','58914427aa4096a0000edaaa3fbbc9fd','policy',3761,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','fac4dbbca36fea1331e2227ecd761376','policy',3251,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','ccb6df7a417d15d52483342db4e0cbf2','control',9612,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','49a47e06186c75635d4d6972ed3c15a3','policy',6712,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','21b2d87193a39a59bc7915eb10fe5c1b','policy',6709,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','a62e3eb08801d360168c977a5d73fa63','policy',6821,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','6f36db7ae8124ab075fd92c04d370d0b','control',9770,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','059e9de10d3c692933a3d2374b1b3293','policy',3852,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','c616cf3292888a09df2d890bc43becb9','policy',4464,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','def0bfa65bf38cf8bf342990cdd17bc6','policy',4570,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','50db48b310b2e0153801f05b9ac4841c','control',9998,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','34a8af356b423675fc136ca477fb3ad5','policy',1235,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','1c5ee9bc4d41d8927670f130df616564','control',8412,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','63c113cab9d863c7d265a8f06f3c9336','policy',6990,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','68fa69a2c6d95b68a5a3eef86352a8d8','policy',6080,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','c711bd3035c9883c459640f5b7b14673','control',8335,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','92dd1e4bff34c471dfc974110685dd85','policy',616,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','ca9a6e62213e67495cb720e7be0a23e3','control',9206,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','1092f5fb802783dd987dd52a5be6a6d2','control',7819,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','766bb325e0bf216fb4df5f9394d7fe51','policy',3834,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','fe40391d704a8bccc5a032addd105be6','policy',679,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','b08c60a617ed1c6feae0f1295a606fe5','policy',3936,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','7889d42a79a3c062c5fac60dd36111ea','control',7969,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','e4a1815243db0452feb98d12e644ca9b','control',9544,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','e3f466135f2a5b693229e8a4fe3dbb73','policy',6289,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','bd7139b90241d22ad6ffbf0ebe963d2c','policy',4268,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','994361ccda7cf7486273b6dfd00cbc63','policy',4019,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','be4c2034ca837ef808e0555828a85c6f','policy',6417,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','d68fe05226d6b1e6a00894e047a1bc7e','control',9866,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','b8182c132020d3c86379dcef9ade38aa','policy',157,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','63e584af99b493908e617b8474286bfb','policy',391,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','4200f33669e34284f7ed24bf80c4a5f3','policy',1620,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','8e17efe2d13959a6e1650c66fcd8d664','control',7591,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','08021509079af98f70802ba05d232146','policy',957,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','6080089458635aa7922f2660fb6c30d7','policy',716,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','784f446a9f76bef59685ed931fcb458b','policy',648,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','03379b88cbef159e3478e1ce4b303ae6','policy',244,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','a7e6d9615a5eedd60dd787d006756156','policy',6973,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','78b91fa6790d7d86e7596be22dbe1f2d','control',7539,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','db936d4045c888e4c1f1393770e1b871','control',7041,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','21e497f6cb7eb3f3ff40c3c04c70ca4b','policy',6975,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','82f9993e394647f8fb55903020451b88','policy',2759,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','1355a69960f6a9d4b35fa1ac64a1aa01','control',9609,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','166303e0bb015ec1bd977eb531738287','policy',4410,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','97312cfecde4d777452fe551364cee74','control',9689,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','bebf23a4712e5f10901553c9beacd128','policy',214,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','5d4c7673475aa5b4d6098bb88f8f91c3','policy',6785,'2026-01-14 00:00:00.000000');
INSERT INTO "assignments" VALUES('second','eafecc4f2356821fc5bd4fb69fa43fe4','policy',2352,'2026-01-14 00:00:00.000000');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	who VARCHAR(200) NOT NULL, 
	action VARCHAR(50) NOT NULL, 
	subject VARCHAR(200) NOT NULL, 
	"before" JSON, 
	"after" JSON, 
	why VARCHAR(1000) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,'2026-01-04 00:00:01.000000','crossmix serve','campaign.create','spring','null','{"campaign_id": "spring", "currency": "EUR", "cycle_budget": 1000.0, "share": {"search": 0.6, "social": 0.4}, "limits": {"search": {"min": 0.1, "max": 0.7}}, "starts": "2026-01-05T00:00:00+00:00", "cycles": 60, "cycle_hours": 24.0}','');
INSERT INTO "audit" VALUES(2,'2026-01-04 00:00:02.000000','crossmix serve','campaign.create','summer','null','{"campaign_id": "summer", "currency": "EUR", "cycle_budget": 400.0, "share": {"search": 0.6, "social": 0.4}, "limits": {}, "starts": "2026-01-05T00:00:00+00:00", "cycles": 60, "cycle_hours": 24.0}','');
INSERT INTO "audit" VALUES(3,'2026-01-13 01:00:02.000000','guardrail','experiment.end','first','{"ended": null}','{"ended": "2026-01-13T01:00:01+00:00", "version": 3}','guardrail roi_drop: the policy''s ROI is -58.7% [-61.6%, -55.6%] against control''s after 6 cycles, wholly below 0%');
INSERT INTO "audit" VALUES(4,'2026-01-13 01:00:03.000000','guardrail','experiment.rollback','first','null','{"version": 3}','guardrail roi_drop: the policy''s ROI is -58.7% [-61.6%, -55.6%] against control''s after 6 cycles, wholly below 0%');
INSERT INTO "audit" VALUES(5,'2026-01-13 01:00:04.000000','anna','bundle.serve','version 2',3,2,'guardrail roi_drop: the policy''s ROI is -58.7% [-61.6%, -55.6%] against control''s after 6 cycles, wholly below 0%');
INSERT INTO "audit" VALUES(6,'2026-01-13 01:00:05.000000','anna','campaign.edit','summer','{"cycle_budget": 400.0}','{"cycle_budget": 500.0}','more for the summer');
INSERT INTO "audit" VALUES(7,'2026-01-13 01:00:06.000000','bob','campaign.pause','summer','{"paused": false}','{"paused": true}','a holiday');
INSERT INTO "audit" VALUES(8,'2026-01-13 01:00:07.000000','bob','campaign.resume','summer','{"paused": true}','{"paused": false}','');
INSERT INTO "audit" VALUES(9,'2026-01-13 01:00:09.000000','anna','override.set','summer','null','{"kind": "given", "share": {"search": 0.5, "social": 0.5}}','a test of ours');
INSERT INTO "audit" VALUES(10,'2026-01-13 01:00:10.000000','anna','override.lift','summer','{"kind": "given", "share": {"search": 0.5, "social": 0.5}}','null','over');
INSERT INTO "audit" VALUES(11,'2026-01-13 01:00:12.000000','bob','override.set','spring','null','{"kind": "static", "share": null}','the bidder''s prices are wrong, it''s urgent');
INSERT INTO "audit" VALUES(12,'2026-01-30 00:00:02.000000','anna','experiment.end','third','{"ended": null}','{"ended": "2026-01-30T00:00:01+00:00", "version": null}','the campaigns are to be planned anew');
CREATE TABLE campaigns (
	campaign_id VARCHAR(200) NOT NULL, 
	currency VARCHAR(40) NOT NULL, 
	cycle_budget FLOAT NOT NULL, 
	share JSON NOT NULL, 
	limits JSON NOT NULL, 
	starts DATETIME NOT NULL, 
	cycles INTEGER NOT NULL, 
	cycle_hours FLOAT NOT NULL, 
	paused BOOLEAN NOT NULL, 
	PRIMARY KEY (campaign_id)
);
INSERT INTO "campaigns" VALUES('spring','EUR',1000.0,'{"search": 0.6, "social": 0.4}','{"search": {"min": 0.1, "max": 0.7}}','2026-01-05 00:00:00.000000',60,24.0,0);
INSERT INTO "campaigns" VALUES('summer','EUR',500.0,'{"search": 0.6, "social": 0.4}','{}','2026-01-05 00:00:00.000000',60,24.0,0);
CREATE TABLE events (
	event_id VARCHAR(200) NOT NULL, 
	received DATETIME NOT NULL, 
	campaign_id VARCHAR(200) NOT NULL, 
	arm VARCHAR(20) NOT NULL, 
	platform VARCHAR(200) NOT NULL, 
	cycle INTEGER NOT NULL, 
	known INTEGER NOT NULL, 
	user VARCHAR(64), 
	requests FLOAT, 
	impressions FLOAT NOT NULL, 
	clicks FLOAT NOT NULL, 
	conversions FLOAT NOT NULL, 
	revenue FLOAT NOT NULL, 
	spend FLOAT NOT NULL, 
	PRIMARY KEY (event_id)
);
INSERT INTO "events" VALUES('e-1','2026-01-06 00:05:00.000000','spring','policy','search',0,1,NULL,4788.0,1596.0,79.0,7.0,593.5,399.0);
INSERT INTO "events" VALUES('e-10','2026-01-06 00:05:00.000000','spring','control','search',0,1,'4454550486eefb7ee954596a0f9646cd',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-11','2026-01-06 00:05:00.000000','summer','policy','search',0,1,NULL,1914.0,638.0,31.0,3.0,205.25,159.5);
INSERT INTO "events" VALUES('e-12','2026-01-06 00:05:00.000000','summer','policy','social',0,1,NULL,NULL,426.0,21.0,2.0,136.75,106.5);
INSERT INTO "events" VALUES('e-13','2026-01-06 00:05:00.000000','summer','control','search',0,1,NULL,822.0,274.0,13.0,1.0,88.5,68.5);
INSERT INTO "events" VALUES('e-14','2026-01-06 00:05:00.000000','summer','control','social',0,1,NULL,NULL,182.0,9.0,0.0,59.0,45.5);
INSERT INTO "events" VALUES('e-2','2026-01-06 00:05:00.000000','spring','policy','social',0,1,NULL,NULL,1064.0,53.0,5.0,395.75,266.0);
INSERT INTO "events" VALUES('e-3','2026-01-06 00:05:00.000000','spring','control','search',0,1,NULL,2052.0,684.0,34.0,3.0,250.0,171.0);
INSERT INTO "events" VALUES('e-4','2026-01-06 00:05:00.000000','spring','control','social',0,1,NULL,NULL,456.0,22.0,2.0,166.75,114.0);
INSERT INTO "events" VALUES('e-5','2026-01-06 00:05:00.000000','spring','policy','search',0,1,'e7c63c9b4ee5be0cbb2b637fdb2e8ab3',NULL,3.0,1.0,0.0,3.5,0.75);
INSERT INTO "events" VALUES('e-6','2026-01-06 00:05:00.000000','spring','policy','search',0,1,'b298f9e0e1f12a3d2a5cd86538ceef86',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-7','2026-01-06 00:05:00.000000','spring','policy','search',0,1,'62cfbc6f77add12c4eb638746586f6ed',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-8','2026-01-06 00:05:00.000000','spring','policy','search',0,1,'81a0a65cd829112d5ddeaec0704961c0',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-9','2026-01-06 00:05:00.000000','spring','policy','search',0,1,'a9218e4b32362b897c196a9ada396db1',NULL,3.0,1.0,1.0,0.75,0.75);
INSERT INTO "events" VALUES('e-15','2026-01-07 00:05:00.000000','spring','policy','search',1,2,NULL,4788.0,1596.0,79.0,7.0,395.5,399.0);
INSERT INTO "events" VALUES('e-16','2026-01-07 00:05:00.000000','spring','policy','social',1,2,NULL,NULL,1064.0,53.0,5.0,263.5,266.0);
INSERT INTO "events" VALUES('e-17','2026-01-07 00:05:00.000000','spring','control','search',1,2,NULL,2052.0,684.0,34.0,3.0,167.0,171.0);
INSERT INTO "events" VALUES('e-18','2026-01-07 00:05:00.000000','spring','control','social',1,2,NULL,NULL,456.0,22.0,2.0,111.25,114.0);
INSERT INTO "events" VALUES('e-19','2026-01-07 00:05:00.000000','spring','policy','search',1,2,'3a7be0871a2ebbed954dee37b1fe5916',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-20','2026-01-07 00:05:00.000000','spring','policy','search',1,2,'256531fc31e239221b0d04d78222cd22',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-21','2026-01-07 00:05:00.000000','spring','control','search',1,2,'4454550486eefb7ee954596a0f9646cd',NULL,3.0,1.0,0.0,0.5,0.75);
INSERT INTO "events" VALUES('e-22','2026-01-07 00:05:00.000000','spring','policy','search',1,2,'8a165fce536c665ebf5a73bcc6abf722',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-23','2026-01-07 00:05:00.000000','spring','policy','search',1,2,'c157dde60dbdb9c80ad789153c48dac1',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-24','2026-01-07 00:05:00.000000','spring','policy','search',1,2,'ddc485b9f73489e989ce6a7423beb481',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-25','2026-01-07 00:05:00.000000','summer','policy','search',1,2,NULL,1914.0,638.0,31.0,3.0,236.0,159.5);
INSERT INTO "events" VALUES('e-26','2026-01-07 00:05:00.000000','summer','policy','social',1,2,NULL,NULL,426.0,21.0,2.0,157.25,106.5);
INSERT INTO "events" VALUES('e-27','2026-01-07 00:05:00.000000','summer','control','search',1,2,NULL,822.0,274.0,13.0,1.0,103.5,68.5);
INSERT INTO "events" VALUES('e-28','2026-01-07 00:05:00.000000','summer','control','social',1,2,NULL,NULL,182.0,9.0,0.0,69.0,45.5);
INSERT INTO "events" VALUES('e-29','2026-01-07 00:05:00.000000','spring','policy','search',1,2,NULL,NULL,0.0,0.0,1.0,12.5,0.0);
INSERT INTO "events" VALUES('e-30','2026-01-08 00:05:00.000000','spring','policy','search',2,3,NULL,4788.0,1596.0,79.0,7.0,203.25,399.0);
INSERT INTO "events" VALUES('e-31','2026-01-08 00:05:00.000000','spring','policy','social',2,3,NULL,NULL,1064.0,53.0,5.0,135.5,266.0);
INSERT INTO "events" VALUES('e-32','2026-01-08 00:05:00.000000','spring','control','search',2,3,NULL,2052.0,684.0,34.0,3.0,210.0,171.0);
INSERT INTO "events" VALUES('e-33','2026-01-08 00:05:00.000000','spring','control','social',2,3,NULL,NULL,456.0,22.0,2.0,140.0,114.0);
INSERT INTO "events" VALUES('e-34','2026-01-08 00:05:00.000000','spring','policy','search',2,3,'c5ef77f9283a985a5e2dfe54092a0319',NULL,3.0,1.0,1.0,1.25,0.75);
INSERT INTO "events" VALUES('e-35','2026-01-08 00:05:00.000000','spring','policy','search',2,3,'a096c46fc0e1f45439ba4733e6b907fb',NULL,3.0,1.0,0.0,1.75,0.75);
INSERT INTO "events" VALUES('e-36','2026-01-08 00:05:00.000000','spring','control','search',2,3,'d3ffe7d2646c9b481a5dd7befad17c18',NULL,3.0,1.0,0.0,4.0,0.75);
INSERT INTO "events" VALUES('e-37','2026-01-08 00:05:00.000000','spring','control','search',2,3,'bbd42486f0e0a13427a80bc09b776706',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-38','2026-01-08 00:05:00.000000','spring','policy','search',2,3,'4e52567d05cc1f8194b50f3462edb8cf',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-39','2026-01-08 00:05:00.000000','spring','policy','search',2,3,'3a7be0871a2ebbed954dee37b1fe5916',NULL,3.0,1.0,0.0,2.25,0.75);
INSERT INTO "events" VALUES('e-40','2026-01-08 00:05:00.000000','summer','policy','search',2,3,NULL,1914.0,638.0,31.0,3.0,94.0,159.5);
INSERT INTO "events" VALUES('e-41','2026-01-08 00:05:00.000000','summer','policy','social',2,3,NULL,NULL,426.0,21.0,2.0,62.75,106.5);
INSERT INTO "events" VALUES('e-42','2026-01-08 00:05:00.000000','summer','control','search',2,3,NULL,822.0,274.0,13.0,1.0,104.0,68.5);
INSERT INTO "events" VALUES('e-43','2026-01-08 00:05:00.000000','summer','control','social',2,3,NULL,NULL,182.0,9.0,0.0,69.5,45.5);
INSERT INTO "events" VALUES('e-44','2026-01-09 00:05:00.000000','spring','policy','search',3,4,NULL,4788.0,1596.0,79.0,7.0,281.25,399.0);
INSERT INTO "events" VALUES('e-45','2026-01-09 00:05:00.000000','spring','policy','social',3,4,NULL,NULL,1064.0,53.0,5.0,187.5,266.0);
INSERT INTO "events" VALUES('e-46','2026-01-09 00:05:00.000000','spring','control','search',3,4,NULL,2052.0,684.0,34.0,3.0,302.75,171.0);
INSERT INTO "events" VALUES('e-47','2026-01-09 00:05:00.000000','spring','control','social',3,4,NULL,NULL,456.0,22.0,2.0,201.75,114.0);
INSERT INTO "events" VALUES('e-48','2026-01-09 00:05:00.000000','spring','policy','search',3,4,'8a165fce536c665ebf5a73bcc6abf722',NULL,3.0,1.0,1.0,2.0,0.75);
INSERT INTO "events" VALUES('e-49','2026-01-09 00:05:00.000000','spring','policy','search',3,4,'4c6cc802101a80bb5ef172d691fd01a3',NULL,3.0,1.0,0.0,9.75,0.75);
INSERT INTO "events" VALUES('e-50','2026-01-09 00:05:00.000000','spring','policy','search',3,4,'4e52567d05cc1f8194b50f3462edb8cf',NULL,3.0,1.0,0.0,3.0,0.75);
INSERT INTO "events" VALUES('e-51','2026-01-09 00:05:00.000000','spring','control','search',3,4,'a5a67906609a1479e2bbce235711cee8',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-52','2026-01-09 00:05:00.000000','spring','policy','search',3,4,'3a7be0871a2ebbed954dee37b1fe5916',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-53','2026-01-09 00:05:00.000000','spring','policy','search',3,4,'5fa75f7836e48940656bd1b7020294ef',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-54','2026-01-09 00:05:00.000000','summer','policy','search',3,4,NULL,1914.0,638.0,31.0,3.0,79.5,159.5);
INSERT INTO "events" VALUES('e-55','2026-01-09 00:05:00.000000','summer','policy','social',3,4,NULL,NULL,426.0,21.0,2.0,53.0,106.5);
INSERT INTO "events" VALUES('e-56','2026-01-09 00:05:00.000000','summer','control','search',3,4,NULL,822.0,274.0,13.0,1.0,81.75,68.5);
INSERT INTO "events" VALUES('e-57','2026-01-09 00:05:00.000000','summer','control','social',3,4,NULL,NULL,182.0,9.0,0.0,54.5,45.5);
INSERT INTO "events" VALUES('e-58','2026-01-10 00:05:00.000000','spring','policy','search',4,5,NULL,4788.0,1596.0,79.0,7.0,240.25,399.0);
INSERT INTO "events" VALUES('e-59','2026-01-10 00:05:00.000000','spring','policy','social',4,5,NULL,NULL,1064.0,53.0,5.0,160.0,266.0);
INSERT INTO "events" VALUES('e-60','2026-01-10 00:05:00.000000','spring','control','search',4,5,NULL,2052.0,684.0,34.0,3.0,256.75,171.0);
INSERT INTO "events" VALUES('e-61','2026-01-10 00:05:00.000000','spring','control','social',4,5,NULL,NULL,456.0,22.0,2.0,171.25,114.0);
INSERT INTO "events" VALUES('e-62','2026-01-10 00:05:00.000000','spring','policy','search',4,5,'256531fc31e239221b0d04d78222cd22',NULL,3.0,1.0,0.0,1.25,0.75);
INSERT INTO "events" VALUES('e-63','2026-01-10 00:05:00.000000','spring','policy','search',4,5,'81a0a65cd829112d5ddeaec0704961c0',NULL,3.0,1.0,1.0,0.5,0.75);
INSERT INTO "events" VALUES('e-64','2026-01-10 00:05:00.000000','spring','policy','search',4,5,'ea4977f84a5bdee3ef2c35b4cf607b40',NULL,3.0,1.0,0.0,2.25,0.75);
INSERT INTO "events" VALUES('e-65','2026-01-10 00:05:00.000000','spring','policy','search',4,5,'d75817c98d970fe260aa6f75a8a953e6',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-66','2026-01-10 00:05:00.000000','spring','control','search',4,5,'86c5f8422606288ea65407c11b96e8c8',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-67','2026-01-10 00:05:00.000000','spring','policy','search',4,5,'ca0cea141f19d4d62469c140dd27111e',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-68','2026-01-10 00:05:00.000000','summer','policy','search',4,5,NULL,1914.0,638.0,31.0,3.0,94.75,159.5);
INSERT INTO "events" VALUES('e-69','2026-01-10 00:05:00.000000','summer','policy','social',4,5,NULL,NULL,426.0,21.0,2.0,63.25,106.5);
INSERT INTO "events" VALUES('e-70','2026-01-10 00:05:00.000000','summer','control','search',4,5,NULL,822.0,274.0,13.0,1.0,97.0,68.5);
INSERT INTO "events" VALUES('e-71','2026-01-10 00:05:00.000000','summer','control','social',4,5,NULL,NULL,182.0,9.0,0.0,64.75,45.5);
INSERT INTO "events" VALUES('e-72','2026-01-11 00:05:00.000000','spring','policy','search',5,6,NULL,4788.0,1596.0,79.0,7.0,199.0,399.0);
INSERT INTO "events" VALUES('e-73','2026-01-11 00:05:00.000000','spring','policy','social',5,6,NULL,NULL,1064.0,53.0,5.0,132.75,266.0);
INSERT INTO "events" VALUES('e-74','2026-01-11 00:05:00.000000','spring','control','search',5,6,NULL,2052.0,684.0,34.0,3.0,208.25,171.0);
INSERT INTO "events" VALUES('e-75','2026-01-11 00:05:00.000000','spring','control','social',5,6,NULL,NULL,456.0,22.0,2.0,138.75,114.0);
INSERT INTO "events" VALUES('e-76','2026-01-11 00:05:00.000000','spring','policy','search',5,6,'ea4977f84a5bdee3ef2c35b4cf607b40',NULL,3.0,1.0,1.0,7.25,0.75);
INSERT INTO "events" VALUES('e-77','2026-01-11 00:05:00.000000','spring','policy','search',5,6,'5fa75f7836e48940656bd1b7020294ef',NULL,3.0,1.0,0.0,3.25,0.75);
INSERT INTO "events" VALUES('e-78','2026-01-11 00:05:00.000000','spring','policy','search',5,6,'660ca62aa926da92e6471eef4fa98fb5',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-79','2026-01-11 00:05:00.000000','spring','policy','search',5,6,'e7c63c9b4ee5be0cbb2b637fdb2e8ab3',NULL,3.0,1.0,0.0,4.25,0.75);
INSERT INTO "events" VALUES('e-80','2026-01-11 00:05:00.000000','spring','control','search',5,6,'724697f697546e17468b66a42159b0f4',NULL,3.0,1.0,0.0,1.25,0.75);
INSERT INTO "events" VALUES('e-81','2026-01-11 00:05:00.000000','spring','policy','search',5,6,'2afaaeaf5edd2a2069f1677099b19cfa',NULL,3.0,1.0,0.0,2.25,0.75);
INSERT INTO "events" VALUES('e-82','2026-01-11 00:05:00.000000','summer','policy','search',5,6,NULL,1914.0,638.0,31.0,3.0,73.5,159.5);
INSERT INTO "events" VALUES('e-83','2026-01-11 00:05:00.000000','summer','policy','social',5,6,NULL,NULL,426.0,21.0,2.0,49.0,106.5);
INSERT INTO "events" VALUES('e-84','2026-01-11 00:05:00.000000','summer','control','search',5,6,NULL,822.0,274.0,13.0,1.0,73.25,68.5);
INSERT INTO "events" VALUES('e-85','2026-01-11 00:05:00.000000','summer','control','social',5,6,NULL,NULL,182.0,9.0,0.0,48.75,45.5);
INSERT INTO "events" VALUES('e-86','2026-01-12 00:05:00.000000','spring','policy','search',6,7,NULL,4788.0,1596.0,79.0,7.0,257.0,399.0);
INSERT INTO "events" VALUES('e-87','2026-01-12 00:05:00.000000','spring','policy','social',6,7,NULL,NULL,1064.0,53.0,5.0,171.25,266.0);
INSERT INTO "events" VALUES('e-88','2026-01-12 00:05:00.000000','spring','control','search',6,7,NULL,2052.0,684.0,34.0,3.0,267.5,171.0);
INSERT INTO "events" VALUES('e-89','2026-01-12 00:05:00.000000','spring','control','social',6,7,NULL,NULL,456.0,22.0,2.0,178.25,114.0);
INSERT INTO "events" VALUES('e-90','2026-01-12 00:05:00.000000','spring','policy','search',6,7,'ca0cea141f19d4d62469c140dd27111e',NULL,3.0,1.0,1.0,3.25,0.75);
INSERT INTO "events" VALUES('e-91','2026-01-12 00:05:00.000000','spring','policy','search',6,7,'f2e2f1e0be0f2b04af36bfd1395a4a86',NULL,3.0,1.0,0.0,4.75,0.75);
INSERT INTO "events" VALUES('e-92','2026-01-12 00:05:00.000000','spring','policy','search',6,7,'9452bee6fb1a44bc42571f3a1616b941',NULL,3.0,1.0,1.0,3.75,0.75);
INSERT INTO "events" VALUES('e-93','2026-01-12 00:05:00.000000','spring','control','search',6,7,'66ac789150ac72bf1e7a1ac5a8b496ee',NULL,3.0,1.0,0.0,4.75,0.75);
INSERT INTO "events" VALUES('e-94','2026-01-12 00:05:00.000000','spring','policy','search',6,7,'c157dde60dbdb9c80ad789153c48dac1',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-95','2026-01-12 00:05:00.000000','spring','policy','search',6,7,'f9a06be13e271384133ac75323f0374e',NULL,3.0,1.0,1.0,4.5,0.75);
INSERT INTO "events" VALUES('e-96','2026-01-12 00:05:00.000000','summer','policy','search',6,7,NULL,1914.0,638.0,31.0,3.0,134.0,159.5);
INSERT INTO "events" VALUES('e-97','2026-01-12 00:05:00.000000','summer','policy','social',6,7,NULL,NULL,426.0,21.0,2.0,89.25,106.5);
INSERT INTO "events" VALUES('e-98','2026-01-12 00:05:00.000000','summer','control','search',6,7,NULL,822.0,274.0,13.0,1.0,139.0,68.5);
INSERT INTO "events" VALUES('e-99','2026-01-12 00:05:00.000000','summer','control','social',6,7,NULL,NULL,182.0,9.0,0.0,92.5,45.5);
INSERT INTO "events" VALUES('e-100','2026-01-13 00:05:00.000000','spring','policy','search',7,8,NULL,4788.0,1596.0,79.0,7.0,284.5,399.0);
INSERT INTO "events" VALUES('e-101','2026-01-13 00:05:00.000000','spring','policy','social',7,8,NULL,NULL,1064.0,53.0,5.0,189.5,266.0);
INSERT INTO "events" VALUES('e-102','2026-01-13 00:05:00.000000','spring','control','search',7,8,NULL,2052.0,684.0,34.0,3.0,309.0,171.0);
INSERT INTO "events" VALUES('e-103','2026-01-13 00:05:00.000000','spring','control','social',7,8,NULL,NULL,456.0,22.0,2.0,206.0,114.0);
INSERT INTO "events" VALUES('e-104','2026-01-13 00:05:00.000000','spring','policy','search',7,8,'2afaaeaf5edd2a2069f1677099b19cfa',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-105','2026-01-13 00:05:00.000000','spring','policy','search',7,8,'5fa75f7836e48940656bd1b7020294ef',NULL,3.0,1.0,0.0,2.25,0.75);
INSERT INTO "events" VALUES('e-106','2026-01-13 00:05:00.000000','spring','policy','search',7,8,'81a0a65cd829112d5ddeaec0704961c0',NULL,3.0,1.0,1.0,3.5,0.75);
INSERT INTO "events" VALUES('e-107','2026-01-13 00:05:00.000000','spring','policy','search',7,8,'e7c63c9b4ee5be0cbb2b637fdb2e8ab3',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-108','2026-01-13 00:05:00.000000','spring','policy','search',7,8,'a9218e4b32362b897c196a9ada396db1',NULL,3.0,1.0,0.0,1.25,0.75);
INSERT INTO "events" VALUES('e-109','2026-01-13 00:05:00.000000','spring','control','search',7,8,'86c5f8422606288ea65407c11b96e8c8',NULL,3.0,1.0,1.0,3.25,0.75);
INSERT INTO "events" VALUES('e-110','2026-01-13 00:05:00.000000','summer','policy','search',7,8,NULL,1914.0,638.0,31.0,3.0,152.25,159.5);
INSERT INTO "events" VALUES('e-111','2026-01-13 00:05:00.000000','summer','policy','social',7,8,NULL,NULL,426.0,21.0,2.0,101.5,106.5);
INSERT INTO "events" VALUES('e-112','2026-01-13 00:05:00.000000','summer','control','search',7,8,NULL,822.0,274.0,13.0,1.0,171.75,68.5);
INSERT INTO "events" VALUES('e-113','2026-01-13 00:05:00.000000','summer','control','social',7,8,NULL,NULL,182.0,9.0,0.0,114.5,45.5);
INSERT INTO "events" VALUES('e-114','2026-01-13 00:05:00.000000','spring','policy','search',3,8,NULL,NULL,0.0,0.0,1.0,12.5,0.0);
INSERT INTO "events" VALUES('e-115','2026-01-15 00:05:00.000000','spring','policy','search',9,10,NULL,4788.0,1596.0,79.0,7.0,648.0,399.0);
INSERT INTO "events" VALUES('e-116','2026-01-15 00:05:00.000000','spring','policy','social',9,10,NULL,NULL,1064.0,53.0,5.0,432.0,266.0);
INSERT INTO "events" VALUES('e-117','2026-01-15 00:05:00.000000','spring','control','search',9,10,NULL,2052.0,684.0,34.0,3.0,236.0,171.0);
INSERT INTO "events" VALUES('e-118','2026-01-15 00:05:00.000000','spring','control','social',9,10,NULL,NULL,456.0,22.0,2.0,157.25,114.0);
INSERT INTO "events" VALUES('e-119','2026-01-15 00:05:00.000000','spring','policy','search',9,10,'8662aefaddcaeb5d6098118c0f1c30e0',NULL,3.0,1.0,1.0,0.25,0.75);
INSERT INTO "events" VALUES('e-120','2026-01-15 00:05:00.000000','spring','control','search',9,10,'50db48b310b2e0153801f05b9ac4841c',NULL,3.0,1.0,1.0,6.0,0.75);
INSERT INTO "events" VALUES('e-121','2026-01-15 00:05:00.000000','spring','policy','search',9,10,'34a8af356b423675fc136ca477fb3ad5',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-122','2026-01-15 00:05:00.000000','spring','policy','search',9,10,'994361ccda7cf7486273b6dfd00cbc63',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-123','2026-01-15 00:05:00.000000','spring','control','search',9,10,'7889d42a79a3c062c5fac60dd36111ea',NULL,3.0,1.0,1.0,4.5,0.75);
INSERT INTO "events" VALUES('e-124','2026-01-15 00:05:00.000000','spring','policy','search',9,10,'49a47e06186c75635d4d6972ed3c15a3',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-125','2026-01-15 00:05:00.000000','summer','policy','search',9,10,NULL,1914.0,638.0,31.0,3.0,231.0,159.5);
INSERT INTO "events" VALUES('e-126','2026-01-15 00:05:00.000000','summer','policy','social',9,10,NULL,NULL,426.0,21.0,2.0,154.0,106.5);
INSERT INTO "events" VALUES('e-127','2026-01-15 00:05:00.000000','summer','control','search',9,10,NULL,822.0,274.0,13.0,1.0,81.75,68.5);
INSERT INTO "events" VALUES('e-128','2026-01-15 00:05:00.000000','summer','control','social',9,10,NULL,NULL,182.0,9.0,0.0,54.5,45.5);
INSERT INTO "events" VALUES('e-129','2026-01-16 00:05:00.000000','spring','policy','search',10,11,NULL,4788.0,1596.0,79.0,7.0,640.5,399.0);
INSERT INTO "events" VALUES('e-130','2026-01-16 00:05:00.000000','spring','policy','social',10,11,NULL,NULL,1064.0,53.0,5.0,427.0,266.0);
INSERT INTO "events" VALUES('e-131','2026-01-16 00:05:00.000000','spring','control','search',10,11,NULL,2052.0,684.0,34.0,3.0,234.0,171.0);
INSERT INTO "events" VALUES('e-132','2026-01-16 00:05:00.000000','spring','control','social',10,11,NULL,NULL,456.0,22.0,2.0,156.0,114.0);
INSERT INTO "events" VALUES('e-133','2026-01-16 00:05:00.000000','spring','control','search',10,11,'ca9a6e62213e67495cb720e7be0a23e3',NULL,3.0,1.0,1.0,3.0,0.75);
INSERT INTO "events" VALUES('e-134','2026-01-16 00:05:00.000000','spring','policy','search',10,11,'21b2d87193a39a59bc7915eb10fe5c1b',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-135','2026-01-16 00:05:00.000000','spring','policy','search',10,11,'4f15a71e2063eb910e9004b33ab29198',NULL,3.0,1.0,0.0,5.5,0.75);
INSERT INTO "events" VALUES('e-136','2026-01-16 00:05:00.000000','spring','policy','search',10,11,'63c113cab9d863c7d265a8f06f3c9336',NULL,3.0,1.0,1.0,6.75,0.75);
INSERT INTO "events" VALUES('e-137','2026-01-16 00:05:00.000000','spring','policy','search',10,11,'8662aefaddcaeb5d6098118c0f1c30e0',NULL,3.0,1.0,0.0,4.75,0.75);
INSERT INTO "events" VALUES('e-138','2026-01-16 00:05:00.000000','spring','policy','search',10,11,'92dd1e4bff34c471dfc974110685dd85',NULL,3.0,1.0,0.0,2.75,0.75);
INSERT INTO "events" VALUES('e-139','2026-01-16 00:05:00.000000','summer','policy','search',10,11,NULL,1914.0,638.0,31.0,3.0,247.5,159.5);
INSERT INTO "events" VALUES('e-140','2026-01-16 00:05:00.000000','summer','policy','social',10,11,NULL,NULL,426.0,21.0,2.0,165.0,106.5);
INSERT INTO "events" VALUES('e-141','2026-01-16 00:05:00.000000','summer','control','search',10,11,NULL,822.0,274.0,13.0,1.0,94.75,68.5);
INSERT INTO "events" VALUES('e-142','2026-01-16 00:05:00.000000','summer','control','social',10,11,NULL,NULL,182.0,9.0,0.0,63.25,45.5);
INSERT INTO "events" VALUES('e-143','2026-01-17 00:05:00.000000','spring','policy','search',11,12,NULL,4788.0,1596.0,79.0,7.0,983.75,399.0);
INSERT INTO "events" VALUES('e-144','2026-01-17 00:05:00.000000','spring','policy','social',11,12,NULL,NULL,1064.0,53.0,5.0,655.75,266.0);
INSERT INTO "events" VALUES('e-145','2026-01-17 00:05:00.000000','spring','control','search',11,12,NULL,2052.0,684.0,34.0,3.0,367.0,171.0);
INSERT INTO "events" VALUES('e-146','2026-01-17 00:05:00.000000','spring','control','social',11,12,NULL,NULL,456.0,22.0,2.0,244.75,114.0);
INSERT INTO "events" VALUES('e-147','2026-01-17 00:05:00.000000','spring','control','search',11,12,'d9387bb87190ac5f2f2e0b203410d564',NULL,3.0,1.0,0.0,2.25,0.75);
INSERT INTO "events" VALUES('e-148','2026-01-17 00:05:00.000000','spring','policy','search',11,12,'fac4dbbca36fea1331e2227ecd761376',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-149','2026-01-17 00:05:00.000000','spring','policy','search',11,12,'49a47e06186c75635d4d6972ed3c15a3',NULL,3.0,1.0,0.0,0.5,0.75);
INSERT INTO "events" VALUES('e-150','2026-01-17 00:05:00.000000','spring','policy','search',11,12,'b2720391c77706e21c9c7db63ec353fd',NULL,3.0,1.0,0.0,4.75,0.75);
INSERT INTO "events" VALUES('e-151','2026-01-17 00:05:00.000000','spring','policy','search',11,12,'b08c60a617ed1c6feae0f1295a606fe5',NULL,3.0,1.0,1.0,2.0,0.75);
INSERT INTO "events" VALUES('e-152','2026-01-17 00:05:00.000000','spring','policy','search',11,12,'a62e3eb08801d360168c977a5d73fa63',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-153','2026-01-17 00:05:00.000000','summer','policy','search',11,12,NULL,1914.0,638.0,31.0,3.0,316.0,159.5);
INSERT INTO "events" VALUES('e-154','2026-01-17 00:05:00.000000','summer','policy','social',11,12,NULL,NULL,426.0,21.0,2.0,210.75,106.5);
INSERT INTO "events" VALUES('e-155','2026-01-17 00:05:00.000000','summer','control','search',11,12,NULL,822.0,274.0,13.0,1.0,112.25,68.5);
INSERT INTO "events" VALUES('e-156','2026-01-17 00:05:00.000000','summer','control','social',11,12,NULL,NULL,182.0,9.0,0.0,74.75,45.5);
INSERT INTO "events" VALUES('e-157','2026-01-18 00:05:00.000000','spring','policy','search',12,13,NULL,4788.0,1596.0,79.0,7.0,610.75,399.0);
INSERT INTO "events" VALUES('e-158','2026-01-18 00:05:00.000000','spring','policy','social',12,13,NULL,NULL,1064.0,53.0,5.0,407.25,266.0);
INSERT INTO "events" VALUES('e-159','2026-01-18 00:05:00.000000','spring','control','search',12,13,NULL,2052.0,684.0,34.0,3.0,241.75,171.0);
INSERT INTO "events" VALUES('e-160','2026-01-18 00:05:00.000000','spring','control','social',12,13,NULL,NULL,456.0,22.0,2.0,161.25,114.0);
INSERT INTO "events" VALUES('e-161','2026-01-18 00:05:00.000000','spring','control','search',12,13,'ccb6df7a417d15d52483342db4e0cbf2',NULL,3.0,1.0,0.0,3.0,0.75);
INSERT INTO "events" VALUES('e-162','2026-01-18 00:05:00.000000','spring','policy','search',12,13,'059e9de10d3c692933a3d2374b1b3293',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-163','2026-01-18 00:05:00.000000','spring','policy','search',12,13,'b2720391c77706e21c9c7db63ec353fd',NULL,3.0,1.0,1.0,1.5,0.75);
INSERT INTO "events" VALUES('e-164','2026-01-18 00:05:00.000000','spring','policy','search',12,13,'a62e3eb08801d360168c977a5d73fa63',NULL,3.0,1.0,1.0,4.75,0.75);
INSERT INTO "events" VALUES('e-165','2026-01-18 00:05:00.000000','spring','policy','search',12,13,'8662aefaddcaeb5d6098118c0f1c30e0',NULL,3.0,1.0,0.0,1.75,0.75);
INSERT INTO "events" VALUES('e-166','2026-01-18 00:05:00.000000','spring','policy','search',12,13,'58914427aa4096a0000edaaa3fbbc9fd',NULL,3.0,1.0,1.0,3.0,0.75);
INSERT INTO "events" VALUES('e-167','2026-01-18 00:05:00.000000','summer','policy','search',12,13,NULL,1914.0,638.0,31.0,3.0,245.75,159.5);
INSERT INTO "events" VALUES('e-168','2026-01-18 00:05:00.000000','summer','policy','social',12,13,NULL,NULL,426.0,21.0,2.0,163.75,106.5);
INSERT INTO "events" VALUES('e-169','2026-01-18 00:05:00.000000','summer','control','search',12,13,NULL,822.0,274.0,13.0,1.0,94.25,68.5);
INSERT INTO "events" VALUES('e-170','2026-01-18 00:05:00.000000','summer','control','social',12,13,NULL,NULL,182.0,9.0,0.0,62.75,45.5);
INSERT INTO "events" VALUES('e-171','2026-01-19 00:05:00.000000','spring','policy','search',13,14,NULL,4788.0,1596.0,79.0,7.0,659.0,399.0);
INSERT INTO "events" VALUES('e-172','2026-01-19 00:05:00.000000','spring','policy','social',13,14,NULL,NULL,1064.0,53.0,5.0,439.5,266.0);
INSERT INTO "events" VALUES('e-173','2026-01-19 00:05:00.000000','spring','control','search',13,14,NULL,2052.0,684.0,34.0,3.0,261.0,171.0);
INSERT INTO "events" VALUES('e-174','2026-01-19 00:05:00.000000','spring','control','social',13,14,NULL,NULL,456.0,22.0,2.0,174.0,114.0);
INSERT INTO "events" VALUES('e-175','2026-01-19 00:05:00.000000','spring','policy','search',13,14,'62d63a26a2baa4bf4b41ed9d130d3ebe',NULL,3.0,1.0,0.0,4.25,0.75);
INSERT INTO "events" VALUES('e-176','2026-01-19 00:05:00.000000','spring','policy','search',13,14,'fac4dbbca36fea1331e2227ecd761376',NULL,3.0,1.0,0.0,1.75,0.75);
INSERT INTO "events" VALUES('e-177','2026-01-19 00:05:00.000000','spring','control','search',13,14,'c583accc89fb521c02509b846c3e391e',NULL,3.0,1.0,1.0,10.0,0.75);
INSERT INTO "events" VALUES('e-178','2026-01-19 00:05:00.000000','spring','control','search',13,14,'e2fe204d089c9398e8fbbb6790d70916',NULL,3.0,1.0,1.0,0.75,0.75);
INSERT INTO "events" VALUES('e-179','2026-01-19 00:05:00.000000','spring','policy','search',13,14,'994361ccda7cf7486273b6dfd00cbc63',NULL,3.0,1.0,0.0,0.75,0.75);
INSERT INTO "events" VALUES('e-180','2026-01-19 00:05:00.000000','spring','control','search',13,14,'e6c2b09867ea2cc7afad12fc92f15cd8',NULL,3.0,1.0,0.0,5.25,0.75);
INSERT INTO "events" VALUES('e-181','2026-01-19 00:05:00.000000','summer','policy','search',13,14,NULL,1914.0,638.0,31.0,3.0,343.0,159.5);
INSERT INTO "events" VALUES('e-182','2026-01-19 00:05:00.000000','summer','policy','social',13,14,NULL,NULL,426.0,21.0,2.0,228.5,106.5);
INSERT INTO "events" VALUES('e-183','2026-01-19 00:05:00.000000','summer','control','search',13,14,NULL,822.0,274.0,13.0,1.0,134.25,68.5);
INSERT INTO "events" VALUES('e-184','2026-01-19 00:05:00.000000','summer','control','social',13,14,NULL,NULL,182.0,9.0,0.0,89.5,45.5);
INSERT INTO "events" VALUES('e-185','2026-01-20 00:05:00.000000','spring','policy','search',14,15,NULL,4788.0,1596.0,79.0,7.0,634.0,399.0);
INSERT INTO "events" VALUES('e-186','2026-01-20 00:05:00.000000','spring','policy','social',14,15,NULL,NULL,1064.0,53.0,5.0,422.75,266.0);
INSERT INTO "events" VALUES('e-187','2026-01-20 00:05:00.000000','spring','control','search',14,15,NULL,2052.0,684.0,34.0,3.0,241.25,171.0);
INSERT INTO "events" VALUES('e-188','2026-01-20 00:05:00.000000','spring','control','social',14,15,NULL,NULL,456.0,22.0,2.0,161.0,114.0);
INSERT INTO "events" VALUES('e-189','2026-01-20 00:05:00.000000','spring','policy','search',14,15,'58914427aa4096a0000edaaa3fbbc9fd',NULL,3.0,1.0,1.0,0.5,0.75);
INSERT INTO "events" VALUES('e-190','2026-01-20 00:05:00.000000','spring','control','search',14,15,'1092f5fb802783dd987dd52a5be6a6d2',NULL,3.0,1.0,0.0,3.25,0.75);
INSERT INTO "events" VALUES('e-191','2026-01-20 00:05:00.000000','spring','policy','search',14,15,'e3f466135f2a5b693229e8a4fe3dbb73',NULL,3.0,1.0,0.0,3.0,0.75);
INSERT INTO "events" VALUES('e-192','2026-01-20 00:05:00.000000','spring','control','search',14,15,'65e111708f6e934bf39cf1971c7de759',NULL,3.0,1.0,0.0,4.5,0.75);
INSERT INTO "events" VALUES('e-193','2026-01-20 00:05:00.000000','spring','control','search',14,15,'50db48b310b2e0153801f05b9ac4841c',NULL,3.0,1.0,0.0,6.0,0.75);
INSERT INTO "events" VALUES('e-194','2026-01-20 00:05:00.000000','spring','policy','search',14,15,'b08c60a617ed1c6feae0f1295a606fe5',NULL,3.0,1.0,1.0,1.75,0.75);
INSERT INTO "events" VALUES('e-195','2026-01-20 00:05:00.000000','summer','policy','search',14,15,NULL,1914.0,638.0,31.0,3.0,216.0,159.5);
INSERT INTO "events" VALUES('e-196','2026-01-20 00:05:00.000000','summer','policy','social',14,15,NULL,NULL,426.0,21.0,2.0,144.0,106.5);
INSERT INTO "events" VALUES('e-197','2026-01-20 00:05:00.000000','summer','control','search',14,15,NULL,822.0,274.0,13.0,1.0,75.75,68.5);
INSERT INTO "events" VALUES('e-198','2026-01-20 00:05:00.000000','summer','control','social',14,15,NULL,NULL,182.0,9.0,0.0,50.5,45.5);
INSERT INTO "events" VALUES('e-199','2026-01-21 00:05:00.000000','spring','policy','search',15,16,NULL,4788.0,1596.0,79.0,7.0,967.0,399.0);
INSERT INTO "events" VALUES('e-200','2026-01-21 00:05:00.000000','spring','policy','social',15,16,NULL,NULL,1064.0,53.0,5.0,644.75,266.0);
INSERT INTO "events" VALUES('e-201','2026-01-21 00:05:00.000000','spring','control','search',15,16,NULL,2052.0,684.0,34.0,3.0,376.5,171.0);
INSERT INTO "events" VALUES('e-202','2026-01-21 00:05:00.000000','spring','control','social',15,16,NULL,NULL,456.0,22.0,2.0,251.0,114.0);
INSERT INTO "events" VALUES('e-203','2026-01-21 00:05:00.000000','spring','policy','search',15,16,'059e9de10d3c692933a3d2374b1b3293',NULL,3.0,1.0,0.0,1.75,0.75);
INSERT INTO "events" VALUES('e-204','2026-01-21 00:05:00.000000','spring','policy','search',15,16,'e3f466135f2a5b693229e8a4fe3dbb73',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-205','2026-01-21 00:05:00.000000','spring','policy','search',15,16,'63c113cab9d863c7d265a8f06f3c9336',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-206','2026-01-21 00:05:00.000000','spring','policy','search',15,16,'bd7139b90241d22ad6ffbf0ebe963d2c',NULL,3.0,1.0,0.0,4.75,0.75);
INSERT INTO "events" VALUES('e-207','2026-01-21 00:05:00.000000','spring','control','search',15,16,'d9387bb87190ac5f2f2e0b203410d564',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-208','2026-01-21 00:05:00.000000','spring','control','search',15,16,'ca9a6e62213e67495cb720e7be0a23e3',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-209','2026-01-21 00:05:00.000000','summer','policy','search',15,16,NULL,1914.0,638.0,31.0,3.0,220.75,159.5);
INSERT INTO "events" VALUES('e-210','2026-01-21 00:05:00.000000','summer','policy','social',15,16,NULL,NULL,426.0,21.0,2.0,147.25,106.5);
INSERT INTO "events" VALUES('e-211','2026-01-21 00:05:00.000000','summer','control','search',15,16,NULL,822.0,274.0,13.0,1.0,82.5,68.5);
INSERT INTO "events" VALUES('e-212','2026-01-21 00:05:00.000000','summer','control','social',15,16,NULL,NULL,182.0,9.0,0.0,55.0,45.5);
INSERT INTO "events" VALUES('e-213','2026-01-22 00:05:00.000000','spring','policy','search',16,17,NULL,4788.0,1596.0,79.0,7.0,558.75,399.0);
INSERT INTO "events" VALUES('e-214','2026-01-22 00:05:00.000000','spring','policy','social',16,17,NULL,NULL,1064.0,53.0,5.0,372.5,266.0);
INSERT INTO "events" VALUES('e-215','2026-01-22 00:05:00.000000','spring','control','search',16,17,NULL,2052.0,684.0,34.0,3.0,207.75,171.0);
INSERT INTO "events" VALUES('e-216','2026-01-22 00:05:00.000000','spring','control','social',16,17,NULL,NULL,456.0,22.0,2.0,138.5,114.0);
INSERT INTO "events" VALUES('e-217','2026-01-22 00:05:00.000000','spring','control','search',16,17,'ccb6df7a417d15d52483342db4e0cbf2',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-218','2026-01-22 00:05:00.000000','spring','policy','search',16,17,'62d63a26a2baa4bf4b41ed9d130d3ebe',NULL,3.0,1.0,0.0,4.0,0.75);
INSERT INTO "events" VALUES('e-219','2026-01-22 00:05:00.000000','spring','policy','search',16,17,'21b2d87193a39a59bc7915eb10fe5c1b',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-220','2026-01-22 00:05:00.000000','spring','control','search',16,17,'e4a1815243db0452feb98d12e644ca9b',NULL,3.0,1.0,0.0,1.0,0.75);
INSERT INTO "events" VALUES('e-221','2026-01-22 00:05:00.000000','spring','policy','search',16,17,'059e9de10d3c692933a3d2374b1b3293',NULL,3.0,1.0,0.0,3.25,0.75);
INSERT INTO "events" VALUES('e-222','2026-01-22 00:05:00.000000','spring','control','search',16,17,'c711bd3035c9883c459640f5b7b14673',NULL,3.0,1.0,1.0,3.75,0.75);
INSERT INTO "events" VALUES('e-223','2026-01-22 00:05:00.000000','summer','policy','search',16,17,NULL,1914.0,638.0,31.0,3.0,287.0,159.5);
INSERT INTO "events" VALUES('e-224','2026-01-22 00:05:00.000000','summer','policy','social',16,17,NULL,NULL,426.0,21.0,2.0,191.25,106.5);
INSERT INTO "events" VALUES('e-225','2026-01-22 00:05:00.000000','summer','control','search',16,17,NULL,822.0,274.0,13.0,1.0,108.25,68.5);
INSERT INTO "events" VALUES('e-226','2026-01-22 00:05:00.000000','summer','control','social',16,17,NULL,NULL,182.0,9.0,0.0,72.25,45.5);
INSERT INTO "events" VALUES('e-227','2026-01-23 00:05:00.000000','spring','policy','search',17,18,NULL,4788.0,1596.0,79.0,7.0,443.0,399.0);
INSERT INTO "events" VALUES('e-228','2026-01-23 00:05:00.000000','spring','policy','social',17,18,NULL,NULL,1064.0,53.0,5.0,295.25,266.0);
INSERT INTO "events" VALUES('e-229','2026-01-23 00:05:00.000000','spring','control','search',17,18,NULL,2052.0,684.0,34.0,3.0,157.75,171.0);
INSERT INTO "events" VALUES('e-230','2026-01-23 00:05:00.000000','spring','control','social',17,18,NULL,NULL,456.0,22.0,2.0,105.25,114.0);
INSERT INTO "events" VALUES('e-231','2026-01-23 00:05:00.000000','spring','control','search',17,18,'c583accc89fb521c02509b846c3e391e',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-232','2026-01-23 00:05:00.000000','spring','policy','search',17,18,'766bb325e0bf216fb4df5f9394d7fe51',NULL,3.0,1.0,0.0,4.5,0.75);
INSERT INTO "events" VALUES('e-233','2026-01-23 00:05:00.000000','spring','control','search',17,18,'ccb6df7a417d15d52483342db4e0cbf2',NULL,3.0,1.0,0.0,1.75,0.75);
INSERT INTO "events" VALUES('e-234','2026-01-23 00:05:00.000000','spring','policy','search',17,18,'8725b926275ced135fbd1989476d2cdd',NULL,3.0,1.0,1.0,3.75,0.75);
INSERT INTO "events" VALUES('e-235','2026-01-23 00:05:00.000000','spring','policy','search',17,18,'fac4dbbca36fea1331e2227ecd761376',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-236','2026-01-23 00:05:00.000000','spring','policy','search',17,18,'fe40391d704a8bccc5a032addd105be6',NULL,3.0,1.0,1.0,1.0,0.75);
INSERT INTO "events" VALUES('e-237','2026-01-23 00:05:00.000000','summer','policy','search',17,18,NULL,1914.0,638.0,31.0,3.0,321.75,159.5);
INSERT INTO "events" VALUES('e-238','2026-01-23 00:05:00.000000','summer','policy','social',17,18,NULL,NULL,426.0,21.0,2.0,214.5,106.5);
INSERT INTO "events" VALUES('e-239','2026-01-23 00:05:00.000000','summer','control','search',17,18,NULL,822.0,274.0,13.0,1.0,120.5,68.5);
INSERT INTO "events" VALUES('e-240','2026-01-23 00:05:00.000000','summer','control','social',17,18,NULL,NULL,182.0,9.0,0.0,80.5,45.5);
INSERT INTO "events" VALUES('e-241','2026-01-24 00:05:00.000000','spring','policy','search',18,19,NULL,4788.0,1596.0,79.0,7.0,408.0,399.0);
INSERT INTO "events" VALUES('e-242','2026-01-24 00:05:00.000000','spring','policy','social',18,19,NULL,NULL,1064.0,53.0,5.0,272.0,266.0);
INSERT INTO "events" VALUES('e-243','2026-01-24 00:05:00.000000','spring','control','search',18,19,NULL,2052.0,684.0,34.0,3.0,156.75,171.0);
INSERT INTO "events" VALUES('e-244','2026-01-24 00:05:00.000000','spring','control','social',18,19,NULL,NULL,456.0,22.0,2.0,104.5,114.0);
INSERT INTO "events" VALUES('e-245','2026-01-24 00:05:00.000000','spring','policy','search',18,19,'8725b926275ced135fbd1989476d2cdd',NULL,3.0,1.0,1.0,8.25,0.75);
INSERT INTO "events" VALUES('e-246','2026-01-24 00:05:00.000000','spring','control','search',18,19,'c583accc89fb521c02509b846c3e391e',NULL,3.0,1.0,1.0,2.5,0.75);
INSERT INTO "events" VALUES('e-247','2026-01-24 00:05:00.000000','spring','policy','search',18,19,'b08c60a617ed1c6feae0f1295a606fe5',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-248','2026-01-24 00:05:00.000000','spring','policy','search',18,19,'b2720391c77706e21c9c7db63ec353fd',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-249','2026-01-24 00:05:00.000000','spring','policy','search',18,19,'34a8af356b423675fc136ca477fb3ad5',NULL,3.0,1.0,0.0,1.25,0.75);
INSERT INTO "events" VALUES('e-250','2026-01-24 00:05:00.000000','spring','policy','search',18,19,'e3f466135f2a5b693229e8a4fe3dbb73',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-251','2026-01-24 00:05:00.000000','summer','policy','search',18,19,NULL,1914.0,638.0,31.0,3.0,254.25,159.5);
INSERT INTO "events" VALUES('e-252','2026-01-24 00:05:00.000000','summer','policy','social',18,19,NULL,NULL,426.0,21.0,2.0,169.5,106.5);
INSERT INTO "events" VALUES('e-253','2026-01-24 00:05:00.000000','summer','control','search',18,19,NULL,822.0,274.0,13.0,1.0,101.0,68.5);
INSERT INTO "events" VALUES('e-254','2026-01-24 00:05:00.000000','summer','control','social',18,19,NULL,NULL,182.0,9.0,0.0,67.25,45.5);
INSERT INTO "events" VALUES('e-255','2026-01-25 00:05:00.000000','spring','policy','search',19,20,NULL,4788.0,1596.0,79.0,7.0,465.25,399.0);
INSERT INTO "events" VALUES('e-256','2026-01-25 00:05:00.000000','spring','policy','social',19,20,NULL,NULL,1064.0,53.0,5.0,310.25,266.0);
INSERT INTO "events" VALUES('e-257','2026-01-25 00:05:00.000000','spring','control','search',19,20,NULL,2052.0,684.0,34.0,3.0,178.5,171.0);
INSERT INTO "events" VALUES('e-258','2026-01-25 00:05:00.000000','spring','control','social',19,20,NULL,NULL,456.0,22.0,2.0,119.0,114.0);
INSERT INTO "events" VALUES('e-259','2026-01-25 00:05:00.000000','spring','control','search',19,20,'65e111708f6e934bf39cf1971c7de759',NULL,3.0,1.0,0.0,2.0,0.75);
INSERT INTO "events" VALUES('e-260','2026-01-25 00:05:00.000000','spring','control','search',19,20,'1c5ee9bc4d41d8927670f130df616564',NULL,3.0,1.0,1.0,0.75,0.75);
INSERT INTO "events" VALUES('e-261','2026-01-25 00:05:00.000000','spring','control','search',19,20,'e6c2b09867ea2cc7afad12fc92f15cd8',NULL,3.0,1.0,0.0,3.5,0.75);
INSERT INTO "events" VALUES('e-262','2026-01-25 00:05:00.000000','spring','policy','search',19,20,'49a47e06186c75635d4d6972ed3c15a3',NULL,3.0,1.0,0.0,3.75,0.75);
INSERT INTO "events" VALUES('e-263','2026-01-25 00:05:00.000000','spring','policy','search',19,20,'fac4dbbca36fea1331e2227ecd761376',NULL,3.0,1.0,0.0,3.0,0.75);
INSERT INTO "events" VALUES('e-264','2026-01-25 00:05:00.000000','spring','policy','search',19,20,'059e9de10d3c692933a3d2374b1b3293',NULL,3.0,1.0,1.0,1.5,0.75);
INSERT INTO "events" VALUES('e-265','2026-01-25 00:05:00.000000','summer','policy','search',19,20,NULL,1914.0,638.0,31.0,3.0,315.0,159.5);
INSERT INTO "events" VALUES('e-266','2026-01-25 00:05:00.000000','summer','policy','social',19,20,NULL,NULL,426.0,21.0,2.0,210.0,106.5);
INSERT INTO "events" VALUES('e-267','2026-01-25 00:05:00.000000','summer','control','search',19,20,NULL,822.0,274.0,13.0,1.0,119.0,68.5);
INSERT INTO "events" VALUES('e-268','2026-01-25 00:05:00.000000','summer','control','social',19,20,NULL,NULL,182.0,9.0,0.0,79.25,45.5);
INSERT INTO "events" VALUES('e-269','2026-01-26 00:05:00.000000','spring','policy','search',20,21,NULL,4788.0,1596.0,79.0,7.0,461.5,399.0);
INSERT INTO "events" VALUES('e-270','2026-01-26 00:05:00.000000','spring','policy','social',20,21,NULL,NULL,1064.0,53.0,5.0,307.5,266.0);
INSERT INTO "events" VALUES('e-271','2026-01-26 00:05:00.000000','spring','control','search',20,21,NULL,2052.0,684.0,34.0,3.0,178.75,171.0);
INSERT INTO "events" VALUES('e-272','2026-01-26 00:05:00.000000','spring','control','social',20,21,NULL,NULL,456.0,22.0,2.0,119.25,114.0);
INSERT INTO "events" VALUES('e-273','2026-01-26 00:05:00.000000','spring','control','search',20,21,'d9387bb87190ac5f2f2e0b203410d564',NULL,3.0,1.0,0.0,3.25,0.75);
INSERT INTO "events" VALUES('e-274','2026-01-26 00:05:00.000000','spring','control','search',20,21,'e4a1815243db0452feb98d12e644ca9b',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-275','2026-01-26 00:05:00.000000','spring','control','search',20,21,'e6c2b09867ea2cc7afad12fc92f15cd8',NULL,3.0,1.0,0.0,3.0,0.75);
INSERT INTO "events" VALUES('e-276','2026-01-26 00:05:00.000000','spring','control','search',20,21,'7889d42a79a3c062c5fac60dd36111ea',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-277','2026-01-26 00:05:00.000000','spring','policy','search',20,21,'8662aefaddcaeb5d6098118c0f1c30e0',NULL,3.0,1.0,0.0,1.5,0.75);
INSERT INTO "events" VALUES('e-278','2026-01-26 00:05:00.000000','spring','control','search',20,21,'c583accc89fb521c02509b846c3e391e',NULL,3.0,1.0,0.0,2.75,0.75);
INSERT INTO "events" VALUES('e-279','2026-01-26 00:05:00.000000','summer','policy','search',20,21,NULL,1914.0,638.0,31.0,3.0,218.25,159.5);
INSERT INTO "events" VALUES('e-280','2026-01-26 00:05:00.000000','summer','policy','social',20,21,NULL,NULL,426.0,21.0,2.0,145.5,106.5);
INSERT INTO "events" VALUES('e-281','2026-01-26 00:05:00.000000','summer','control','search',20,21,NULL,822.0,274.0,13.0,1.0,85.0,68.5);
INSERT INTO "events" VALUES('e-282','2026-01-26 00:05:00.000000','summer','control','social',20,21,NULL,NULL,182.0,9.0,0.0,56.75,45.5);
INSERT INTO "events" VALUES('e-283','2026-01-27 00:05:00.000000','spring','policy','search',21,22,NULL,4788.0,1596.0,79.0,7.0,792.25,399.0);
INSERT INTO "events" VALUES('e-284','2026-01-27 00:05:00.000000','spring','policy','social',21,22,NULL,NULL,1064.0,53.0,5.0,528.25,266.0);
INSERT INTO "events" VALUES('e-285','2026-01-27 00:05:00.000000','spring','control','search',21,22,NULL,2052.0,684.0,34.0,3.0,295.0,171.0);
INSERT INTO "events" VALUES('e-286','2026-01-27 00:05:00.000000','spring','control','social',21,22,NULL,NULL,456.0,22.0,2.0,196.75,114.0);
INSERT INTO "events" VALUES('e-287','2026-01-27 00:05:00.000000','spring','control','search',21,22,'c711bd3035c9883c459640f5b7b14673',NULL,3.0,1.0,0.0,0.5,0.75);
INSERT INTO "events" VALUES('e-288','2026-01-27 00:05:00.000000','spring','control','search',21,22,'7889d42a79a3c062c5fac60dd36111ea',NULL,3.0,1.0,0.0,1.25,0.75);
INSERT INTO "events" VALUES('e-289','2026-01-27 00:05:00.000000','spring','policy','search',21,22,'8725b926275ced135fbd1989476d2cdd',NULL,3.0,1.0,1.0,4.75,0.75);
INSERT INTO "events" VALUES('e-290','2026-01-27 00:05:00.000000','spring','policy','search',21,22,'43c4f735ff893824cf68b4755cc0e5ae',NULL,3.0,1.0,0.0,2.5,0.75);
INSERT INTO "events" VALUES('e-291','2026-01-27 00:05:00.000000','spring','policy','search',21,22,'92dd1e4bff34c471dfc974110685dd85',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-292','2026-01-27 00:05:00.000000','spring','policy','search',21,22,'49a47e06186c75635d4d6972ed3c15a3',NULL,3.0,1.0,0.0,7.5,0.75);
INSERT INTO "events" VALUES('e-293','2026-01-27 00:05:00.000000','summer','policy','search',21,22,NULL,1914.0,638.0,31.0,3.0,289.25,159.5);
INSERT INTO "events" VALUES('e-294','2026-01-27 00:05:00.000000','summer','policy','social',21,22,NULL,NULL,426.0,21.0,2.0,193.0,106.5);
INSERT INTO "events" VALUES('e-295','2026-01-27 00:05:00.000000','summer','control','search',21,22,NULL,822.0,274.0,13.0,1.0,111.5,68.5);
INSERT INTO "events" VALUES('e-296','2026-01-27 00:05:00.000000','summer','control','social',21,22,NULL,NULL,182.0,9.0,0.0,74.5,45.5);
INSERT INTO "events" VALUES('e-297','2026-01-28 00:05:00.000000','spring','policy','search',22,23,NULL,4788.0,1596.0,79.0,7.0,578.75,399.0);
INSERT INTO "events" VALUES('e-298','2026-01-28 00:05:00.000000','spring','policy','social',22,23,NULL,NULL,1064.0,53.0,5.0,385.75,266.0);
INSERT INTO "events" VALUES('e-299','2026-01-28 00:05:00.000000','spring','control','search',22,23,NULL,2052.0,684.0,34.0,3.0,226.25,171.0);
INSERT INTO "events" VALUES('e-300','2026-01-28 00:05:00.000000','spring','control','social',22,23,NULL,NULL,456.0,22.0,2.0,150.75,114.0);
INSERT INTO "events" VALUES('e-301','2026-01-28 00:05:00.000000','spring','control','search',22,23,'e4a1815243db0452feb98d12e644ca9b',NULL,3.0,1.0,1.0,6.5,0.75);
INSERT INTO "events" VALUES('e-302','2026-01-28 00:05:00.000000','spring','policy','search',22,23,'63c113cab9d863c7d265a8f06f3c9336',NULL,3.0,1.0,1.0,2.25,0.75);
INSERT INTO "events" VALUES('e-303','2026-01-28 00:05:00.000000','spring','policy','search',22,23,'43c4f735ff893824cf68b4755cc0e5ae',NULL,3.0,1.0,0.0,0.5,0.75);
INSERT INTO "events" VALUES('e-304','2026-01-28 00:05:00.000000','spring','policy','search',22,23,'766bb325e0bf216fb4df5f9394d7fe51',NULL,3.0,1.0,1.0,1.5,0.75);
INSERT INTO "events" VALUES('e-305','2026-01-28 00:05:00.000000','spring','policy','search',22,23,'92dd1e4bff34c471dfc974110685dd85',NULL,3.0,1.0,0.0,3.5,0.75);
INSERT INTO "events" VALUES('e-306','2026-01-28 00:05:00.000000','spring','policy','search',22,23,'b2720391c77706e21c9c7db63ec353fd',NULL,3.0,1.0,1.0,5.0,0.75);
INSERT INTO "events" VALUES('e-307','2026-01-28 00:05:00.000000','summer','policy','search',22,23,NULL,1914.0,638.0,31.0,3.0,339.5,159.5);
INSERT INTO "events" VALUES('e-308','2026-01-28 00:05:00.000000','summer','policy','social',22,23,NULL,NULL,426.0,21.0,2.0,226.25,106.5);
INSERT INTO "events" VALUES('e-309','2026-01-28 00:05:00.000000','summer','control','search',22,23,NULL,822.0,274.0,13.0,1.0,129.25,68.5);
INSERT INTO "events" VALUES('e-310','2026-01-28 00:05:00.000000','summer','control','social',22,23,NULL,NULL,182.0,9.0,0.0,86.25,45.5);
INSERT INTO "events" VALUES('e-311','2026-01-28 00:05:00.000000','spring','policy','search',10,23,NULL,NULL,0.0,0.0,1.0,12.5,0.0);
CREATE TABLE experiments (
	id VARCHAR(200) NOT NULL, 
	salt VARCHAR(200) NOT NULL, 
	weights JSON NOT NULL, 
	started DATETIME NOT NULL, 
	days INTEGER NOT NULL, 
	level FLOAT NOT NULL, 
	ended DATETIME, 
	why VARCHAR(1000), 
	PRIMARY KEY (id)
);
INSERT INTO "experiments" VALUES('first','salt one','{"policy": 0.7, "control": 0.3}','2026-01-07 00:00:00.000000',14,0.05,'2026-01-13 01:00:01.000000','guardrail roi_drop: the policy''s ROI is -58.7% [-61.6%, -55.6%] against control''s after 6 cycles, wholly below 0%');
INSERT INTO "experiments" VALUES('second','salt two','{"policy": 0.7, "control": 0.3}','2026-01-14 00:00:00.000000',14,0.05,NULL,NULL);
INSERT INTO "experiments" VALUES('third','salt three','{"policy": 0.7, "control": 0.3}','2026-01-29 00:00:00.000000',7,0.05,'2026-01-30 00:00:01.000000','the campaigns are to be planned anew');
CREATE TABLE overrides (
	campaign_id VARCHAR(200) NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	share JSON, 
	who VARCHAR(200) NOT NULL, 
	why VARCHAR(1000) NOT NULL, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (campaign_id)
);
INSERT INTO "overrides" VALUES('spring','static','null','bob','the bidder''s prices are wrong, it''s urgent','2026-01-13 01:00:11.000000');
CREATE TABLE pushed (
	campaign_id VARCHAR(200) NOT NULL, 
	arm VARCHAR(20) NOT NULL, 
	cycle INTEGER NOT NULL, 
	PRIMARY KEY (campaign_id, arm)
);
INSERT INTO "pushed" VALUES('spring','policy',21);
INSERT INTO "pushed" VALUES('spring','control',21);
INSERT INTO "pushed" VALUES('summer','policy',21);
INSERT INTO "pushed" VALUES('summer','control',21);
CREATE TABLE revision (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "revision" VALUES(1,9);
CREATE TABLE served (
	allocation_id VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	campaign_id VARCHAR(200) NOT NULL, 
	arm VARCHAR(20) NOT NULL, 
	cycle INTEGER NOT NULL, 
	bundle VARCHAR(64) NOT NULL, 
	budget FLOAT NOT NULL, 
	share JSON NOT NULL, 
	state BLOB, 
	logits JSON, 
	log_density FLOAT, 
	override VARCHAR(10), 
	PRIMARY KEY (allocation_id)
);
INSERT INTO "served" VALUES('spring-2','2026-01-07 00:01:00.000000','spring','policy',2,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.5917809525295157, "social": 0.40821904747048426}',X'00000000295C0F3E295C8FBE85EBD13E713D0ABF6666263F000040BF3D0A573FC3F568BF8FC2753FA4707DBF0000803FA4707DBF8FC2753F1F856BBF9A99593FB81E45BF1F852B3F295C0FBFAE47E13E9A9999BE7B142E3E8FC2F5BCAE47E1BD0000803E14AEC7BE5C8F023FAE4721BF48E13A3F85EB51BF0AD7633F333373BF48E17A3F000080BFA4707D3FEC5178BF7B146E3FF6285CBF14AE473FD7A330BFE17A143F1F85EBBEC3F5A83E5C8F42BECDCC4C3DEC51B83D1F856BBEEC51B83E48E1FABEF6281C3F8FC235BF295C4F3FAE4761BFD7A3703F48E17ABF0000803F000080BF48E17A3FD7A370BFAE47613FCDCC4CBF8FC2353F9A9919BF8FC2F53E3333B3BEAE47613E0AD7A3BD8FC275BDCDCC4C3E7B14AEBED7A3F03E3D0A17BF3333333F713D4ABF52B85E3F7B146EBFEC51783F000080BF0000803F48E17ABF3333733F0AD763BF85EB513F48E13ABF52B81E3F5C8F02BF5C8FC23E000080BEAE47E13D0AD7233DEC5138BE52B89E3EAE47E1BE85EB113F7B142EBFB81E453FF6285CBF1F856B3FEC5178BFA4707D3F000080BFA4707D3F333373BF6666663FE17A54BF0000403F0AD723BF14AE073FCDCCCCBE713D8A3EB81E05BE0AD723BC9A99193EE17A94BE3D0AD73E713D0ABFC3F5283F5C8F42BF3D0A573FC3F568BF8FC2753FA4707DBF0000803FA4707DBF8FC2753FC3F568BF9A99593F5C8F42BFC3F5283FCDCC0CBFF628DC3E9A9999BE0AD7233E0AD7A3BC8FC2F5BDB81E853ECDCCCCBEB81E053F0AD723BFA4703D3FE17A54BF6666663F333373BFA4707D3F000080BFA4707D3FEC5178BF1F856B3FF6285CBF14AE473F7B142EBF85EB113F6666E6BE0AD7A33EEC5138BE0AD7233DCDCCCC3D8FC275BEA470BD3E000000BF52B81E3FEC5138BF295C4F3F0AD763BFD7A3703F48E17ABF0000803F000080BFEC51783F7B146EBF52B85E3FCDCC4CBF3333333F3D0A17BF8FC2F53E3333B3BE3D0A573E295C8FBD295C8FBD3D0A573E3333B3BE8FC2F53E3D0A17BF3333333FCDCC4CBF52B85E3F7B146EBFEC51783F000080BF0000803F48E17ABFD7A3703F0AD763BF295C4F3FEC5138BF52B81E3F000000BFA470BD3E8FC275BECDCCCC3D0AD7233DEC5138BE0AD7A33E6666E6BE85EB113F7B142EBF14AE473FF6285CBF1F856B3FEC5178BFA4707D3F000080BFA4707D3F333373BF6666663FE17A54BFA4703D3F0AD723BFB81E053FCDCCCCBEB81E853E8FC2F5BD0AD7A3BC0AD7233E9A9999BEF628DC3ECDCC0CBFC3F5283F5C8F42BF9A99593FC3F568BF8FC2753FA4707DBF0000803FA4707DBF8FC2753FC3F568BF3D0A573F5C8F42BFC3F5283F713D0ABF3D0AD73EE17A94BE9A99193E0AD723BCB81E05BE713D8A3ECDCCCCBE14AE073F0AD723BF0000403FE17A54BF6666663F333373BFA4707D3F000080BFA4707D3FEC5178BF1F856B3FF6285CBFB81E453F7B142EBF85EB113FAE47E1BE52B89E3EEC5138BE0AD7233DAE47E13D000080BE5C8FC23E5C8F02BF52B81E3F48E13ABF85EB513F0AD763BF3333733F48E17ABF0000803F000080BFEC51783F7B146EBF52B85E3F713D4ABF3333333F3D0A17BFD7A3F03E7B14AEBECDCC4C3E8FC275BD0AD7A3BDAE47613E3333B3BE8FC2F53E9A9919BF8FC2353FCDCC4CBFAE47613FD7A370BF48E17A3F000080BF0000803F48E17ABFD7A3703FAE4761BF295C4F3F8FC235BFF6281C3F48E1FABEEC51B83E1F856BBEEC51B83DCDCC4C3D5C8F42BEC3F5A83E1F85EBBEE17A143FD7A330BF14AE473FF6285CBF7B146E3FEC5178BFA4707D3F000080BF48E17A3F333373BF0AD7633F85EB51BF48E13A3FAE4721BF5C8F023F14AEC7BE0000803EAE47E1BD8FC2F5BC7B142E3E9A9999BEAE47E13E295C0FBF1F852B3FB81E45BF9A99593F1F856BBF8FC2753FA4707DBF0000803FA4707DBF8FC2753FC3F568BF3D0A573F000040BF6666263F713D0ABF85EBD13E295C8FBE295C0F3E00000080295C0FBE295C8F3E85EBD1BE713D0A3F666626BF0000403F3D0A57BFC3F5683F8FC275BFA4707D3F000080BFA4707D3F8FC275BF1F856B3F9A9959BFB81E453F1F852BBF295C0F3FAE47E1BE9A99993E7B142EBE8FC2F53CAE47E13D000080BE14AEC73E5C8F02BFAE47213F48E13ABF85EB513F0AD763BF3333733F48E17ABF0000803FA4707DBFEC51783F7B146EBFF6285C3F713D4ABFD7A3303FE17A14BF1F85EB3EC3F5A8BE5C8F423ECDCC4CBDEC51B8BD1F856B3EEC51B8BE48E1FA3EF6281CBF8FC2353F295C4FBFAE47613FD7A370BF48E17A3F000080BF0000803F48E17ABFD7A3703FAE4761BFCDCC4C3F8FC235BF9A99193F8FC2F5BEEC51B83EAE4761BE0AD7A33D8FC2753DCDCC4CBE7B14AE3ED7A3F0BE3D0A173F333333BF713D4A3F52B85EBF7B146E3FEC5178BF0000803F000080BF48E17A3F333373BF0AD7633F85EB51BF48E13A3F52B81EBF5C8F023F5C8FC2BE0000803EAE47E1BD0AD723BDEC51383E52B89EBEAE47E13E85EB11BF7B142E3FB81E45BFF6285C3F1F856BBFEC51783FA4707DBF0000803FA4707DBF3333733F666666BFE17A543F000040BF0AD7233F14AE07BFCDCCCC3E713D8ABEB81E053E0AD7233C9A9919BEE17A943E3D0AD7BE713D0A3FC3F528BF5C8F423F3D0A57BFC3F5683F8FC275BFA4707D3F000080BFA4707D3F8FC275BFC3F5683F9A9959BF5C8F423FC3F528BFCDCC0C3FF628DCBE9A99993E0AD723BE0AD7A33C8FC2F53DB81E85BECDCCCC3EB81E05BF0AD7233FA4703DBFE17A543F666666BF3333733FA4707DBF0000803FA4707DBFEC51783F1F856BBFF6285C3F14AE47BF7B142E3F85EB11BF6666E63E0AD7A3BEEC51383E0AD723BDCDCCCCBD8FC2753EA470BDBE0000003F52B81EBFEC51383F295C4FBF0AD7633FD7A370BF48E17A3F000080BF0000803FEC5178BF7B146E3F52B85EBFCDCC4C3F333333BF9A99193F8FC2F5BE3333B33E3D0A57BE295C8F3D295C8F3D3D0A57BE3333B33E8FC2F5BE3D0A173F333333BFCDCC4C3F52B85EBF7B146E3FEC5178BF0000803F000080BF48E17A3FD7A370BF0AD7633F295C4FBFEC51383F52B81EBF0000003FA470BDBE8FC2753ECDCCCCBD0AD723BDEC51383E0AD7A3BE6666E63E85EB11BF7B142E3F14AE47BFF6285C3F1F856BBFEC51783FA4707DBF0000803FA4707DBF3333733F666666BFE17A543FA4703DBF0AD7233FB81E05BFCDCCCC3EB81E85BE8FC2F53D0AD7A33C0AD723BE9A99993EF628DCBECDCC0C3FC3F528BF5C8F423F9A9959BFC3F5683F8FC275BFA4707D3F000080BFA4707D3F8FC275BFC3F5683F3D0A57BF5C8F423FC3F528BF713D0A3F3D0AD7BEE17A943E9A9919BE0AD7233CB81E053E713D8ABECDCCCC3E14AE07BF0AD7233F000040BFE17A543F666666BF3333733FA4707DBF0000803FA4707DBFEC51783F1F856BBFF6285C3FB81E45BF7B142E3F85EB11BFAE47E13E52B89EBEEC51383E0AD723BDAE47E1BD0000803E5C8FC2BE5C8F023F52B81EBF48E13A3F85EB51BF0AD7633F333373BF48E17A3F000080BF0000803FEC5178BF7B146E3F52B85EBF713D4A3F333333BF3D0A173F','[0.17427209873788507, -0.1970605436652999]',2.23018849729207291332e+00,NULL);
INSERT INTO "served" VALUES('spring-2-c','2026-01-07 00:01:00.000000','spring','control',2,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
INSERT INTO "served" VALUES('spring-3','2026-01-08 00:01:00.000000','spring','policy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.5702756804064227, "social": 0.4297243195935772}',X'000000005C8F42BFA4707D3F713D0ABFE17A94BEC3F5683FC3F568BF713D8A3ECDCC0C3FA4707DBF0000403F0AD7A33CB81E45BFA4707D3FB81E05BF9A9999BE1F856B3F666666BF0000803E85EB113FA4707DBF48E13A3F0AD7233D14AE47BF48E17A3F5C8F02BF0AD7A3BE7B146E3F0AD763BF8FC2753EE17A143F000080BFEC51383FCDCC4C3D713D4ABF48E17A3F48E1FABE7B14AEBE7B146E3FAE4761BFAE47613E3D0A173F000080BF8FC2353F295C8F3DCDCC4CBF48E17A3F8FC2F5BE3333B3BED7A3703F52B85EBFCDCC4C3EF6281C3F000080BF3333333FEC51B83D295C4FBFEC51783F1F85EBBEA470BDBE3333733FF6285CBFEC51383E52B81E3F000080BF7B142E3FAE47E13D85EB51BFEC51783FAE47E1BE14AEC7BE3333733FF6285CBF7B142E3E0AD7233F000080BF1F852B3F8FC2F53DE17A54BF8FC2753FF628DCBECDCCCCBE8FC2753F9A9959BF9A99193E6666263F000080BFC3F5283F295C0F3E3D0A57BF8FC2753F85EBD1BE3D0AD7BE8FC2753F3D0A57BFB81E053EC3F5283F000080BF0AD7233F0AD7233E9A9959BF3333733FCDCCCCBEAE47E1BEEC51783FE17A54BFAE47E13D7B142E3F000080BFAE47213FEC51383EF6285CBF3333733F5C8FC2BE6666E6BEEC51783F85EB51BFCDCCCC3DD7A3303F000080BF52B81E3F5C8F423E52B85EBFD7A3703FEC51B8BED7A3F0BEEC51783F295C4FBF0AD7A33D3333333F000080BF9A99193F3D0A573EAE4761BFD7A3703F3333B3BE8FC2F5BE48E17A3FCDCC4CBF8FC2753D8FC2353F000080BF3D0A173F1F856B3E0AD763BF7B146E3FC3F5A8BE000000BF48E17A3F14AE47BF0AD7233D48E13A3FA4707DBF85EB113F0000803E0AD763BF1F856B3F52B89EBE5C8F02BFA4707D3FB81E45BF8FC2F53CA4703D3FA4707DBF295C0F3FB81E853E666666BF1F856B3F9A9999BE14AE07BFA4707D3F5C8F42BF0AD7233C0000403FA4707DBF713D0A3F295C8F3EC3F568BFC3F5683F295C8FBE713D0ABFA4707D3F000040BF0AD723BC5C8F423FA4707DBF14AE073F9A99993E1F856BBF6666663FB81E85BE295C0FBFA4707D3FA4703DBF8FC2F5BCB81E453FA4707DBF5C8F023F52B89E3E1F856BBF0AD7633F000080BE85EB11BFA4707D3F48E13ABF0AD723BD713D4A3F48E17ABF0000003FC3F5A83E7B146EBF0AD7633F1F856BBE3D0A17BF0000803F8FC235BF8FC275BDCDCC4C3F48E17ABF8FC2F53E3333B33ED7A370BFAE47613F3D0A57BE9A9919BF0000803F333333BF0AD7A3BD295C4F3FEC5178BFD7A3F03EEC51B83ED7A370BF52B85E3F5C8F42BE52B81EBF0000803FD7A330BFCDCCCCBD85EB513FEC5178BF6666E63E5C8FC23E333373BFF6285C3FEC5138BEAE4721BF0000803F7B142EBFAE47E1BDE17A543FEC5178BFAE47E13ECDCCCC3E333373BF9A99593F0AD723BE0AD723BF0000803FC3F528BFB81E05BE3D0A573F8FC275BF3D0AD73E85EBD13E8FC275BF3D0A573F295C0FBEC3F528BF0000803F666626BF9A9919BE9A99593F8FC275BFCDCCCC3EF628DC3E8FC275BFE17A543F8FC2F5BD1F852BBF0000803F0AD723BF7B142EBEF6285C3F333373BF14AEC73EAE47E13EEC5178BF85EB513FAE47E1BD7B142EBF0000803F52B81EBFEC5138BEF6285C3F333373BFA470BD3E1F85EB3EEC5178BF295C4F3FEC51B8BD333333BF0000803FF6281CBFCDCC4CBE52B85E3FD7A370BF3333B33E8FC2F53E48E17ABFCDCC4C3F295C8FBD8FC235BF0000803F3D0A17BFAE4761BEAE47613F7B146EBF7B14AE3E48E1FA3E48E17ABF713D4A3FCDCC4CBDEC5138BF0000803FE17A14BF8FC275BE0AD7633F7B146EBF0AD7A33E5C8F023F48E17ABF14AE473F0AD723BD48E13ABFA4707D3F85EB11BF000080BE6666663F1F856BBF9A99993EB81E053FA4707DBFB81E453F0AD7A3BC000040BFA4707D3FCDCC0CBF713D8ABEC3F5683FC3F568BFE17A943E713D0A3FA4707DBF5C8F423F000000005C8F42BFA4707D3F713D0ABFE17A94BEC3F5683FC3F568BF713D8A3ECDCC0C3FA4707DBF0000403F0AD7A33CB81E45BFA4707D3FB81E05BF9A9999BE1F856B3F666666BF0000803E85EB113FA4707DBF48E13A3F0AD7233D14AE47BF48E17A3F5C8F02BF0AD7A3BE7B146E3F0AD763BF8FC2753EE17A143F000080BFEC51383FCDCC4C3D713D4ABF48E17A3F48E1FABE7B14AEBE7B146E3FAE4761BFAE47613E9A99193F000080BF8FC2353F295C8F3DCDCC4CBF48E17A3F8FC2F5BEEC51B8BED7A3703F52B85EBFCDCC4C3EF6281C3F000080BF3333333FEC51B83D295C4FBFEC51783F1F85EBBEA470BDBE3333733FF6285CBFEC51383E52B81E3F000080BF7B142E3FAE47E13D85EB51BFEC51783FAE47E1BE14AEC7BE3333733FF6285CBF7B142E3E0AD7233F000080BF1F852B3F8FC2F53DE17A54BF8FC2753FF628DCBECDCCCCBE8FC2753F9A9959BF9A99193E6666263F000080BFC3F5283F295C0F3E3D0A57BF8FC2753F85EBD1BE3D0AD7BE8FC2753F3D0A57BFB81E053EC3F5283F000080BF0AD7233F0AD7233E9A9959BF3333733FCDCCCCBEAE47E1BEEC51783FE17A54BFAE47E13D7B142E3F000080BFAE47213FEC51383EF6285CBF3333733F5C8FC2BE6666E6BEEC51783F85EB51BFCDCCCC3DD7A3303F000080BF52B81E3F5C8F423E52B85EBFD7A3703FEC51B8BED7A3F0BEEC51783F295C4FBF0AD7A33D3333333F000080BF9A99193F3D0A573EAE4761BFD7A3703F3333B3BE8FC2F5BE48E17A3FCDCC4CBF8FC2753DEC51383F000080BF3D0A173F1F856B3E0AD763BF7B146E3FC3F5A8BE000000BF48E17A3F14AE47BF0AD7233D48E13A3FA4707DBF85EB113F0000803E0AD763BF1F856B3F52B89EBE5C8F02BFA4707D3FB81E45BF8FC2F53CA4703D3FA4707DBF295C0F3FB81E853E666666BF1F856B3F9A9999BE14AE07BFA4707D3F5C8F42BF0AD7233C0000403FA4707DBF713D0A3F295C8F3EC3F568BFC3F5683F295C8FBE713D0ABFA4707D3F000040BF0AD723BC5C8F423FA4707DBF14AE073F9A99993E1F856BBF6666663FB81E85BE295C0FBFA4707D3FA4703DBF8FC2F5BCB81E453FA4707DBF5C8F023F52B89E3E1F856BBF0AD7633F000080BE85EB11BFA4707D3F48E13ABF0AD723BD713D4A3F48E17ABF0000003FC3F5A83E7B146EBF0AD7633F1F856BBE3D0A17BF0000803F8FC235BF8FC275BDCDCC4C3F48E17ABF8FC2F53E3333B33ED7A370BFAE47613F3D0A57BE9A9919BF0000803F333333BF0AD7A3BD295C4F3FEC5178BFD7A3F03EEC51B83ED7A370BF52B85E3F5C8F42BE52B81EBF0000803FD7A330BFCDCCCCBD85EB513FEC5178BF6666E63E5C8FC23E333373BFF6285C3FEC5138BEAE4721BF0000803F7B142EBFAE47E1BDE17A543FEC5178BFAE47E13ECDCCCC3E333373BF9A99593F0AD723BE0AD723BF0000803FC3F528BFB81E05BE3D0A573F8FC275BF3D0AD73E85EBD13E8FC275BF3D0A573F295C0FBEC3F528BF0000803F666626BF9A9919BE9A99593F8FC275BFCDCCCC3EF628DC3E8FC275BFE17A543F8FC2F5BD1F852BBF0000803F0AD723BF7B142EBEF6285C3F333373BF','[0.18269705415337412, -0.1002789537303274]',4.18682935525243049568e+00,NULL);
INSERT INTO "served" VALUES('spring-3-c','2026-01-08 00:01:00.000000','spring','control',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
INSERT INTO "served" VALUES('spring-4','2026-01-09 00:01:00.000000','spring','policy',4,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.5708095646868963, "social": 0.4291904353131038}',X'000000008FC275BF713D0ABF6666263FC3F5683FB81E05BEA4707DBFF628DCBE0000403F9A99593FB81E85BE000080BF9A9999BEE17A543FB81E453F14AEC7BEA4707DBFEC5138BE0AD7633F7B142E3F5C8F02BFEC5178BF0AD723BD3333733FE17A143F52B81EBF7B146EBFEC51B83D48E17A3FD7A3F03E8FC235BF52B85EBFAE47613E0000803F3333B33ECDCC4CBFCDCC4CBF3333B33E0000803FAE47613E52B85EBF8FC235BFD7A3F03E48E17A3FEC51B83D7B146EBF52B81EBFE17A143F3333733F0AD723BDEC5178BF5C8F02BF7B142E3F0AD7633FEC5138BEA4707DBF14AEC7BEB81E453FE17A543F9A9999BE000080BFB81E85BE9A99593F0000403FF628DCBEA4707DBFB81E05BEC3F5683F6666263F713D0ABF8FC275BF000000808FC2753F713D0A3F666626BFC3F568BFB81E053EA4707D3FF628DC3E000040BF9A9959BFB81E853E0000803F9A99993EE17A54BFB81E45BF14AEC73EA4707D3FEC51383E0AD763BF7B142EBF5C8F023FEC51783F0AD7233D333373BFE17A14BF52B81E3F7B146E3FEC51B8BD48E17ABFD7A3F0BE8FC2353F52B85E3FAE4761BE000080BF3333B3BECDCC4C3FCDCC4C3F3333B3BE000080BFAE4761BE52B85E3F8FC2353FD7A3F0BE48E17ABFEC51B8BD7B146E3F52B81E3FE17A14BF333373BF0AD7233DEC51783F5C8F023F7B142EBF0AD763BFEC51383EA4707D3F14AEC73EB81E45BFE17A54BF9A99993E0000803FB81E853E9A9959BF000040BFF628DC3EA4707D3FB81E053EC3F568BF666626BF713D0A3F8FC2753F000000008FC275BF713D0ABF6666263FC3F5683FB81E05BEA4707DBFF628DCBE0000403F9A99593FB81E85BE000080BF9A9999BEE17A543FB81E453F14AEC7BEA4707DBFEC5138BE0AD7633F7B142E3F5C8F02BFEC5178BF0AD723BD3333733FE17A143F52B81EBF7B146EBFEC51B83D48E17A3FD7A3F03E8FC235BF52B85EBFAE47613E0000803F3333B33ECDCC4CBFCDCC4CBF3333B33E0000803FAE47613E52B85EBF8FC235BFD7A3F03E48E17A3FEC51B83D7B146EBF52B81EBFE17A143F3333733F0AD723BDEC5178BF5C8F02BF7B142E3F0AD7633FEC5138BEA4707DBF14AEC7BEB81E453FE17A543F9A9999BE000080BFB81E85BE9A99593F0000403FF628DCBEA4707DBFB81E05BEC3F5683F6666263F713D0ABF8FC275BF000000808FC2753F713D0A3F666626BFC3F568BFB81E053EA4707D3FF628DC3E000040BF9A9959BFB81E853E0000803F9A99993EE17A54BFB81E45BF14AEC73EA4707D3FEC51383E0AD763BF7B142EBF5C8F023FEC51783F0AD7233D333373BFE17A14BF52B81E3F7B146E3FEC51B8BD48E17ABFD7A3F0BE8FC2353F52B85E3FAE4761BE000080BF3333B3BECDCC4C3FCDCC4C3F3333B3BE000080BFAE4761BE52B85E3F8FC2353FD7A3F0BE48E17ABFEC51B8BD7B146E3F52B81E3FE17A14BF333373BF0AD7233DEC51783F5C8F023F7B142EBF0AD763BFEC51383EA4707D3F14AEC73EB81E45BFE17A54BF9A99993E0000803FB81E853E9A9959BF000040BFF628DC3EA4707D3FB81E053EC3F568BF666626BF713D0A3F8FC2753F000000008FC275BF713D0ABF6666263FC3F5683FB81E05BEA4707DBFF628DCBE0000403F9A99593FB81E85BE000080BF9A9999BEE17A543FB81E453F14AEC7BEA4707DBFEC5138BE0AD7633F7B142E3F5C8F02BFEC5178BF0AD723BD3333733FE17A143F52B81EBF7B146EBFEC51B83D48E17A3FD7A3F03E8FC235BF52B85EBFAE47613E0000803F3333B33ECDCC4CBFCDCC4CBF3333B33E0000803FAE47613E52B85EBF8FC235BFD7A3F03E48E17A3FEC51B83D7B146EBF52B81EBFE17A143F3333733F0AD723BDEC5178BF5C8F02BF7B142E3F0AD7633FEC5138BEA4707DBF14AEC7BEB81E453FE17A543F9A9999BE000080BFB81E85BE9A99593F0000403FF628DCBEA4707DBFB81E05BEC3F5683F6666263F713D0ABF8FC275BF000000808FC2753F713D0A3F666626BFC3F568BFB81E053EA4707D3FF628DC3E000040BF9A9959BFB81E853E0000803F9A99993EE17A54BFB81E45BF14AEC73EA4707D3FEC51383E0AD763BF7B142EBF5C8F023FEC51783F0AD7233D333373BFE17A14BF52B81E3F7B146E3FEC51B8BD48E17ABFD7A3F0BE8FC2353F52B85E3FAE4761BE000080BF3333B3BECDCC4C3FCDCC4C3F3333B3BE000080BFAE4761BE52B85E3FEC51383FD7A3F0BE48E17ABFEC51B8BD7B146E3F52B81E3FE17A14BF333373BF0AD7233DEC51783F5C8F023F7B142EBF0AD763BFEC51383EA4707D3F14AEC73EB81E45BFE17A54BF9A99993E0000803FB81E853E9A9959BF000040BFF628DC3EA4707D3FB81E053EC3F568BF666626BF713D0A3F8FC2753F000000008FC275BF713D0ABF6666263FC3F5683FB81E05BEA4707DBFF628DCBEA4703D3F9A99593FB81E85BE000080BF9A9999BEE17A543FB81E453F14AEC7BEA4707DBFEC5138BE0AD7633F7B142E3F5C8F02BFEC5178BF0AD723BD3333733FE17A143F52B81EBF7B146EBFEC51B83D48E17A3FD7A3F03E8FC235BF52B85EBFAE47613E0000803F3333B33ECDCC4CBFCDCC4CBF3333B33E0000803FAE47613E52B85EBFEC5138BFD7A3F03E48E17A3FEC51B83D7B146EBF52B81EBFE17A143F3333733F0AD723BDEC5178BF5C8F02BF7B142E3F0AD7633FEC5138BEA4707DBF14AEC7BEB81E453FE17A543F9A9999BE000080BFB81E85BE9A99593F0000403FF628DCBEA4707DBFB81E05BEC3F5683F6666263F713D0ABF8FC275BF000000808FC2753F713D0A3F666626BFC3F568BFB81E053EA4707D3FF628DC3EA4703DBF9A9959BFB81E853E0000803F52B89E3EE17A54BFB81E45BF14AEC73EA4707D3FEC51383E0AD763BF7B142EBF5C8F023FEC51783F0AD7233D333373BFE17A14BF52B81E3F7B146E3FEC51B8BD48E17ABFD7A3F0BE8FC2353F52B85E3FAE4761BE000080BF3333B3BECDCC4C3FCDCC4C3F3333B3BE000080BFAE4761BE52B85E3FEC51383FD7A3F0BE48E17ABFEC51B8BD7B146E3F52B81E3FE17A14BF333373BF0AD7233DEC51783F5C8F023F7B142EBF0AD763BFEC51383EA4707D3F14AEC73EB81E45BFE17A54BF9A99993E0000803FB81E853E9A9959BF000040BFF628DC3EA4707D3FB81E053EC3F568BF666626BF713D0A3F8FC2753F000000008FC275BF713D0ABF6666263FC3F5683FB81E05BEA4707DBFF628DCBEA4703D3F9A99593FB81E85BE000080BF52B89EBEE17A543FB81E453F14AEC7BEA4707DBFEC5138BE0AD7633F7B142E3F5C8F02BFEC5178BF0AD723BD3333733FE17A143F52B81EBF7B146EBFEC51B83D48E17A3FD7A3F03E8FC235BF52B85EBFAE47613E0000803F3333B33ECDCC4CBFCDCC4CBF3333B33E0000803FAE47613E52B85EBFEC5138BFD7A3F03E48E17A3FEC51B83D7B146EBF52B81EBFE17A143F3333733F0AD723BDEC5178BF5C8F02BF7B142E3F0AD7633FEC5138BEA4707DBF14AEC7BEB81E453FE17A543F9A9999BE000080BFB81E85BE9A99593F0000403FF628DCBEA4707DBFB81E05BEC3F5683F6666263F713D0ABF8FC275BF00000080','[0.19501767721612462, -0.09013723929051223]',4.22230378745634826742e+00,NULL);
INSERT INTO "served" VALUES('spring-4-c','2026-01-09 00:01:00.000000','spring','control',4,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
INSERT INTO "served" VALUES('spring-5','2026-01-10 00:01:00.000000','spring','policy',5,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.5722054702408311, "social": 0.4277945297591689}',X'00000000295C8FBE713D0ABF000040BFC3F568BFA4707DBFA4707DBF1F856BBFB81E45BF295C0FBF9A9999BE8FC2F5BC0000803E5C8F023F48E13A3F0AD7633F48E17A3FA4707D3F7B146E3F14AE473FE17A143FC3F5A83ECDCC4C3D1F856BBE48E1FABE8FC235BFAE4761BF48E17ABF000080BFD7A370BFCDCC4CBF9A9919BF3333B3BE0AD7A3BDCDCC4C3ED7A3F03E3333333F52B85E3FEC51783F0000803F3333733F85EB513F52B81E3F5C8FC23EAE47E13DEC5138BEAE47E1BE7B142EBFF6285CBFEC5178BF000080BF333373BFE17A54BF0AD723BFCDCCCCBEB81E05BE9A99193E3D0AD73EC3F5283F3D0A573F8FC2753F0000803F8FC2753F9A99593FC3F5283FF628DC3E0AD7233E8FC2F5BDCDCCCCBE0AD723BFE17A54BF333373BF000080BFEC5178BFF6285CBF7B142EBF6666E6BEEC5138BECDCCCC3DA470BD3E52B81E3F295C4F3FD7A3703F0000803FEC51783F52B85E3F3333333F8FC2F53E3D0A573E295C8FBD3333B3BE3D0A17BFCDCC4CBF7B146EBF000080BF48E17ABF0AD763BFEC5138BF000000BF8FC275BE0AD7233D0AD7A33E85EB113F14AE473F1F856B3FA4707D3FA4707D3F6666663FA4703D3FB81E053FB81E853E0AD7A3BC9A9999BECDCC0CBF5C8F42BFC3F568BFA4707DBFA4707DBFC3F568BF5C8F42BF713D0ABFE17A94BE0AD723BC713D8A3E14AE073F0000403F6666663FA4707D3FA4707D3F1F856B3FB81E453F85EB113F52B89E3E0AD7233D000080BE5C8F02BF48E13ABF0AD763BF48E17ABF000080BF7B146EBF713D4ABF3D0A17BF7B14AEBE8FC275BDAE47613E8FC2F53E8FC2353FAE47613F48E17A3F0000803FD7A3703F295C4F3FF6281C3FEC51B83EEC51B83D5C8F42BE1F85EBBED7A330BFF6285CBFEC5178BF000080BF333373BF85EB51BFAE4721BF14AEC7BEAE47E1BD7B142E3EAE47E13E1F852B3F9A99593F8FC2753F0000803F8FC2753F3D0A573F6666263F85EBD13E295C0F3E295C0FBE85EBD1BE666626BF3D0A57BF8FC275BF000080BF8FC275BF9A9959BF1F852BBFAE47E1BE7B142EBEAE47E13D14AEC73EAE47213F85EB513F3333733F0000803FEC51783FF6285C3FD7A3303F1F85EB3E5C8F423EEC51B8BDEC51B8BEF6281CBF295C4FBFD7A370BF000080BF48E17ABFAE4761BF8FC235BF8FC2F5BEAE4761BE8FC2753D7B14AE3E3D0A173F713D4A3F7B146E3F0000803F48E17A3F0AD7633F48E13A3F5C8F023F0000803E0AD723BD52B89EBE85EB11BFB81E45BF1F856BBFA4707DBFA4707DBF666666BF000040BF14AE07BF713D8ABE0AD7233CE17A943E713D0A3F5C8F423FC3F5683FA4707D3FA4707D3FC3F5683F5C8F423FCDCC0C3F9A99993E0AD7A33CB81E85BEB81E05BFA4703DBF666666BFA4707DBFA4707DBF1F856BBF14AE47BF85EB11BF0AD7A3BE0AD723BD8FC2753E0000003FEC51383F0AD7633F48E17A3F0000803F7B146E3FCDCC4C3F9A99193F3333B33E295C8F3D3D0A57BE8FC2F5BE333333BF52B85EBFEC5178BF000080BFD7A370BF295C4FBF52B81EBFA470BDBECDCCCCBDEC51383E6666E63E7B142E3FF6285C3FEC51783F0000803F3333733FE17A543F0AD7233FCDCCCC3E8FC2F53D0AD723BEF628DCBEC3F528BF9A9959BF8FC275BF000080BF8FC275BF3D0A57BFC3F528BF3D0AD7BE9A9919BEB81E053ECDCCCC3E0AD7233FE17A543F3333733F0000803FEC51783FF6285C3F7B142E3FAE47E13EEC51383EAE47E1BD5C8FC2BE52B81EBF85EB51BF333373BF000080BFEC5178BF52B85EBF333333BFD7A3F0BECDCC4CBE0AD7A33D3333B33E9A99193FCDCC4C3FD7A3703F0000803F48E17A3FAE47613FEC51383F48E1FA3E1F856B3ECDCC4CBDC3F5A8BEE17A14BF14AE47BF7B146EBFA4707DBF48E17ABF0AD763BF48E13ABF5C8F02BF000080BE8FC2F53C9A99993E295C0F3FB81E453F1F856B3FA4707D3FA4707D3FC3F5683F0000403F713D0A3F295C8F3E00000000295C8FBE713D0ABF000040BFC3F568BFA4707DBFA4707DBF1F856BBFB81E45BF295C0FBF9A9999BE8FC2F5BC0000803E5C8F023F48E13A3F0AD7633F48E17A3FA4707D3F7B146E3F713D4A3FE17A143FC3F5A83ECDCC4C3D1F856BBE48E1FABE8FC235BFAE4761BF48E17ABF000080BFD7A370BFCDCC4CBF9A9919BFEC51B8BE0AD7A3BDCDCC4C3ED7A3F03E3333333F52B85E3FEC51783F0000803F3333733F85EB513F52B81E3F5C8FC23EAE47E13DEC5138BEAE47E1BE7B142EBFF6285CBFEC5178BF000080BF333373BFE17A54BF0AD723BFCDCCCCBEB81E05BE9A99193E3D0AD73EC3F5283F3D0A573F8FC2753F0000803F8FC2753F9A99593FC3F5283FF628DC3E0AD7233E8FC2F5BDCDCCCCBE0AD723BFE17A54BF333373BF000080BFEC5178BFF6285CBF7B142EBF6666E6BEEC5138BECDCCCC3DA470BD3E52B81E3F295C4F3FD7A3703F0000803FEC51783F52B85E3F3333333F8FC2F53E3D0A573E295C8FBD3333B3BE3D0A17BFCDCC4CBF7B146EBF000080BF48E17ABF0AD763BFEC5138BF000000BF8FC275BE0AD7233D0AD7A33E85EB113F14AE473F1F856B3FA4707D3FA4707D3F6666663FA4703D3FB81E053FB81E853E0AD7A3BC9A9999BECDCC0CBF5C8F42BFC3F568BFA4707DBFA4707DBFC3F568BF5C8F42BF713D0ABFE17A94BE0AD723BC713D8A3E14AE073FA4703D3F6666663FA4707D3FA4707D3F1F856B3FB81E453F85EB113F52B89E3E0AD7233D000080BE5C8F02BF48E13ABF0AD763BF48E17ABF000080BF7B146EBF713D4ABF3D0A17BF7B14AEBE8FC275BDAE47613E8FC2F53E8FC2353FAE47613F48E17A3F0000803FD7A3703F295C4F3FF6281C3FEC51B83EEC51B83D5C8F42BE1F85EBBED7A330BFF6285CBFEC5178BF000080BF333373BF85EB51BFAE4721BF14AEC7BE8FC2F5BD7B142E3EAE47E13E1F852B3F9A99593F8FC2753F0000803F8FC2753F3D0A573F6666263F85EBD13E295C0F3E295C0FBE85EBD1BE666626BF3D0A57BF8FC275BF000080BF8FC275BF9A9959BF1F852BBFAE47E1BE7B142EBEAE47E13D14AEC73EAE47213F85EB513F3333733F0000803FEC51783FF6285C3FD7A3303F1F85EB3E5C8F423EEC51B8BDEC51B8BEF6281CBF295C4FBFD7A370BF000080BF48E17ABFAE4761BF8FC235BF8FC2F5BEAE4761BE8FC2753D7B14AE3E3D0A173F713D4A3F7B146E3F0000803F48E17A3F0AD7633F48E13A3F5C8F023F0000803E0AD723BD52B89EBE85EB11BFB81E45BF1F856BBFA4707DBFA4707DBF666666BF000040BF14AE07BF713D8ABE0AD7233CE17A943E713D0A3F5C8F423FC3F5683FA4707D3FA4707D3FC3F5683F5C8F423FCDCC0C3F9A99993E0AD7A33CB81E85BEB81E05BFA4703DBF666666BFA4707DBFA4707DBF1F856BBF14AE47BF85EB11BF0AD7A3BE0AD723BD8FC2753E0000003FEC51383F0AD7633F48E17A3F0000803F7B146E3FCDCC4C3F9A99193F3333B33E295C8F3D3D0A57BE8FC2F5BE333333BF52B85EBFEC5178BF000080BFD7A370BF295C4FBF52B81EBFA470BDBECDCCCCBDEC51383E6666E63E7B142E3FF6285C3FEC51783F0000803F3333733F','[0.17843938510362628, -0.11241574582728207]',4.12292113345193556028e+00,NULL);
INSERT INTO "served" VALUES('spring-5-c','2026-01-10 00:01:00.000000','spring','control',5,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
INSERT INTO "served" VALUES('summer-9','2026-01-14 00:01:00.000000','summer','policy',9,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.5783121200049532, "social": 0.42168787999504675}',X'00000000713D0ABFC3F5683FA4707DBF0000403FB81E85BE9A9999BEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BE8FC2353F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBF0000403FB81E85BE9A9999BEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BE8FC2353F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBF0000403FB81E85BE9A9999BEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE9A9999BEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE52B89EBEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE52B89EBEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE52B89EBEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE52B89EBEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000713D0ABFC3F5683FA4707DBFA4703D3FB81E85BE52B89EBEB81E453FA4707DBF0AD7633F5C8F02BF0AD723BDE17A143F7B146EBF48E17A3F8FC235BFAE47613E3333B33ECDCC4CBF0000803F52B85EBFD7A3F03EEC51B83D52B81EBF3333733FEC5178BF7B142E3FEC5138BE14AEC7BEE17A543F000080BF9A99593FF628DCBEB81E05BE6666263F8FC275BF8FC2753F666626BFB81E053EF628DC3E9A9959BF0000803FE17A54BF14AEC73EEC51383E7B142EBFEC51783F333373BF52B81E3FEC51B8BDD7A3F0BE52B85E3F000080BFCDCC4C3F3333B3BEAE4761BEEC51383F48E17ABF7B146E3FE17A14BF0AD7233D5C8F023F0AD763BFA4707D3FB81E45BF9A99993EB81E853E000040BFA4707D3FC3F568BF713D0A3F00000000','[0.17690908274760603, -0.13893922066906342]',3.83683263210923231056e+00,NULL);
INSERT INTO "served" VALUES('summer-9-c','2026-01-14 00:01:00.000000','summer','control',9,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
INSERT INTO "served" VALUES('summer-10','2026-01-15 00:01:00.000000','summer','policy',10,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',700.0,'{"search": 0.57215891172025, "social": 0.4278410882797501}',X'00000000000080BF0AD723BC0000803F0AD7A33C000080BF8FC2F5BC0000803F0AD7233D000080BF0AD723BD0000803FCDCC4C3D000080BF8FC275BD0000803F295C8F3D000080BF0AD7A3BD0000803FEC51B83D000080BFCDCCCCBDA4707D3FAE47E13DA4707DBFAE47E1BDA4707D3F8FC2F53DA4707DBFB81E05BEA4707D3F295C0F3EA4707DBF9A9919BEA4707D3F0AD7233EA4707DBF7B142EBEA4707D3FEC51383E48E17ABFEC5138BE48E17A3F5C8F423E48E17ABFCDCC4CBE48E17A3F3D0A573E48E17ABFAE4761BEEC51783F1F856B3EEC5178BF8FC275BEEC51783F0000803EEC5178BF000080BEEC51783FB81E853E8FC275BF713D8ABE8FC2753F295C8F3E8FC275BFE17A94BE8FC2753F9A99993E333373BF9A9999BE3333733F52B89E3E333373BF0AD7A3BE3333733FC3F5A83ED7A370BF7B14AEBED7A3703F3333B33ED7A370BF3333B3BE7B146E3FEC51B83E7B146EBFA470BDBE7B146E3F5C8FC23E1F856BBF14AEC7BE1F856B3FCDCCCC3E1F856BBFCDCCCCBEC3F5683F85EBD13EC3F568BF3D0AD7BEC3F5683FF628DC3E666666BFAE47E1BE6666663FAE47E13E0AD763BF6666E6BE0AD7633F1F85EB3E0AD763BFD7A3F0BEAE47613F8FC2F53EAE4761BF8FC2F5BE52B85E3F48E1FA3E52B85EBF000000BFF6285C3F5C8F023FF6285CBF5C8F02BFF6285C3FB81E053F9A9959BF14AE07BF9A99593F713D0A3F3D0A57BF713D0ABF3D0A573FCDCC0C3FE17A54BF295C0FBFE17A543F85EB113F85EB51BF85EB11BF85EB513FE17A143F295C4FBF3D0A17BF295C4F3F9A99193FCDCC4CBF9A9919BFCDCC4C3FF6281C3F713D4ABF52B81EBF14AE473F52B81E3F14AE47BFAE4721BFB81E453F0AD7233FB81E45BF0AD723BF5C8F423F6666263F5C8F42BFC3F528BF0000403FC3F5283F000040BF1F852BBFA4703D3F7B142E3F48E13ABF7B142EBF48E13A3FD7A3303FEC5138BF333333BF8FC2353F3333333F8FC235BF8FC235BF3333333FEC51383F333333BFEC5138BFD7A3303F48E13A3F7B142EBF48E13ABF7B142E3FA4703D3F1F852BBF000040BFC3F5283F0000403FC3F528BF5C8F42BF6666263F5C8F423F0AD723BFB81E45BF0AD7233FB81E453FAE4721BF14AE47BF52B81E3F713D4A3F52B81EBF713D4ABFF6281C3FCDCC4C3F9A9919BFCDCC4CBF3D0A173F295C4F3F3D0A17BF295C4FBFE17A143F85EB513F85EB11BF85EB51BF85EB113FE17A543F295C0FBFE17A54BFCDCC0C3F3D0A573F713D0ABF3D0A57BF713D0A3F9A99593F14AE07BF9A9959BFB81E053FF6285C3F5C8F02BFF6285CBF5C8F023FF6285C3F000000BF52B85EBF48E1FA3E52B85E3F8FC2F5BEAE4761BF8FC2F53EAE47613FD7A3F0BE0AD763BF1F85EB3E0AD7633F6666E6BE0AD763BFAE47E13E6666663FAE47E1BE666666BFF628DC3EC3F5683F3D0AD7BEC3F568BF85EBD13EC3F5683FCDCCCCBE1F856BBFCDCCCC3E1F856B3F14AEC7BE1F856BBF5C8FC23E7B146E3FA470BDBE7B146EBFEC51B83E7B146E3F3333B3BED7A370BF3333B33ED7A3703F7B14AEBED7A370BFC3F5A83E3333733F0AD7A3BE333373BF52B89E3E3333733F9A9999BE333373BF9A99993E8FC2753FE17A94BE8FC275BF295C8F3E8FC2753F713D8ABE8FC275BFB81E853EEC51783F000080BEEC5178BF8FC2753EEC51783F8FC275BEEC5178BF1F856B3EEC51783FAE4761BE48E17ABF3D0A573E48E17A3FCDCC4CBE48E17ABF5C8F423E48E17A3FEC5138BE48E17ABFEC51383EA4707D3F7B142EBEA4707DBF0AD7233EA4707D3F9A9919BEA4707DBF295C0F3EA4707D3FB81E05BEA4707DBF8FC2F53DA4707D3FAE47E1BDA4707DBFAE47E13DA4707D3FCDCCCCBD000080BFEC51B83D0000803F0AD7A3BD000080BF295C8F3D0000803F8FC275BD000080BFCDCC4C3D0000803F0AD723BD000080BF0AD7233D0000803F8FC2F5BC000080BF0AD7A33C0000803F0AD723BC000080BF000000800000803F0AD7233C000080BF0AD7A3BC0000803F8FC2F53C000080BF0AD723BD0000803F0AD7233D000080BFCDCC4CBD0000803F8FC2753D000080BF295C8FBD0000803F0AD7A33D000080BFEC51B8BD0000803FCDCCCC3DA4707DBFAE47E1BDA4707D3F8FC2F53DA4707DBF8FC2F5BDA4707D3FB81E053EA4707DBF295C0FBEA4707D3F9A99193EA4707DBF0AD723BEA4707D3F7B142E3EA4707DBFEC5138BE48E17A3F5C8F423E48E17ABF5C8F42BE48E17A3FCDCC4C3E48E17ABF3D0A57BE48E17A3FAE47613EEC5178BF1F856BBEEC51783F8FC2753EEC5178BF000080BEEC51783F0000803EEC5178BFB81E85BE8FC2753F713D8A3E8FC275BF295C8FBE8FC2753FE17A943E8FC275BF9A9999BE3333733F52B89E3E333373BF52B89EBE3333733F0AD7A33E333373BFC3F5A8BED7A3703F7B14AE3ED7A370BF3333B3BED7A3703FEC51B83E7B146EBFEC51B8BE7B146E3FA470BD3E7B146EBF5C8FC2BE1F856B3F14AEC73E1F856BBFCDCCCCBE1F856B3FCDCCCC3EC3F568BF85EBD1BEC3F5683F3D0AD73EC3F568BFF628DCBE6666663FAE47E13E666666BFAE47E1BE0AD7633F6666E63E0AD763BF1F85EBBE0AD7633FD7A3F03EAE4761BF8FC2F5BEAE47613F8FC2F53E52B85EBF48E1FABE52B85E3F0000003FF6285CBF5C8F02BFF6285C3F5C8F023FF6285CBFB81E05BF9A99593F14AE073F9A9959BF713D0ABF3D0A573F713D0A3F3D0A57BFCDCC0CBFE17A543F295C0F3FE17A54BF85EB11BF85EB513F85EB113F85EB51BFE17A14BF295C4F3F3D0A173F295C4FBF9A9919BFCDCC4C3F9A99193FCDCC4CBFF6281CBF713D4A3F52B81E3F14AE47BF52B81EBF14AE473FAE47213FB81E45BF0AD723BFB81E453F0AD7233F5C8F42BF666626BF5C8F423FC3F5283F000040BFC3F528BFA4703D3F1F852B3FA4703DBF7B142EBF48E13A3F7B142E3F48E13ABFD7A330BFEC51383F3333333F8FC235BF333333BF8FC2353F8FC2353F333333BFEC5138BF3333333FEC51383FD7A330BF48E13ABF7B142E3F48E13A3F7B142EBFA4703DBF1F852B3F0000403FC3F528BF000040BFC3F5283F5C8F423F666626BF5C8F42BF0AD7233FB81E453F0AD723BFB81E45BFAE47213F14AE473F52B81EBF713D4ABF52B81E3F713D4A3FF6281CBFCDCC4CBF9A99193FCDCC4C3F3D0A17BF295C4FBF3D0A173F295C4F3FE17A14BF85EB51BF85EB113F85EB513F85EB11BFE17A54BF295C0F3FE17A543FCDCC0CBF3D0A57BF713D0A3F3D0A573F713D0ABF9A9959BF14AE073F9A99593FB81E05BFF6285CBF5C8F023FF6285C3F5C8F02BFF6285CBF0000003F52B85E3F48E1FABE52B85EBF8FC2F53EAE47613F8FC2F5BEAE4761BFD7A3F03E0AD7633F1F85EBBE0AD763BF6666E63E0AD7633FAE47E1BE666666BFAE47E13E6666663FF628DCBEC3F568BF3D0AD73EC3F5683F85EBD1BEC3F568BFCDCCCC3E1F856B3FCDCCCCBE1F856BBF14AEC73E1F856B3F5C8FC2BE7B146EBFA470BD3E7B146E3FEC51B8BE7B146EBF3333B33ED7A3703F3333B3BED7A370BF7B14AE3ED7A3703FC3F5A8BE333373BF0AD7A33E3333733F52B89EBE333373BF','[0.1758752730428293, -0.11478965987458334]',4.08657600729063652522e+00,NULL);
INSERT INTO "served" VALUES('summer-10-c','2026-01-15 00:01:00.000000','summer','control',10,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',300.0,'{"search": 0.6, "social": 0.4}',NULL,'null',NULL,NULL);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX events_by_known ON events (campaign_id, arm, known);
CREATE INDEX events_by_cycle ON events (campaign_id, arm, cycle);
CREATE INDEX served_by_cycle ON served (campaign_id, arm, cycle);
COMMIT;
